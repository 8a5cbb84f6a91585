//! `hookline`: the roles and the operator's verbs.

use std::process::ExitCode;

use clap::Parser;

/// A webhook is some hundred small pieces of memory, made in one thread and given back in another (docs/decisions/28).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = hookline::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return hookline::report(&anyhow::anyhow!("cannot start: {error}")),
    };
    match runtime.block_on(hookline::run(arguments)) {
        Ok(code) => code.into(),
        Err(error) => hookline::report(&error),
    }
}
