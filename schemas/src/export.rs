//! JSON Schemas and AsyncAPI.
