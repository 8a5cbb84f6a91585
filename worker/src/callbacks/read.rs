//! ◆ Pure: a stored callback, read. Ingest has verified its signature.

use facts::accounts::callbacks::Callback;
use runtime::follow::Received;
use schemas::Timestamp;
use schemas::callback::{SignedRequest, form_field};
use schemas::raw::header;
use sha2::{Digest, Sha256};

/// What a stored callback says; `None`: nothing that ingest writes.
pub(super) fn callback(message: &Received) -> Option<Callback> {
    let kind = message.subject.strip_prefix("meta.v1.raw.callback.")?.split('.').next()?;
    let field = form_field(&message.payload)?;
    let request = SignedRequest::read(&field)?;
    let app = message.header(header::SECRET)?.to_owned();
    let code = match kind {
        "deauthorize" => None,
        "deletion" => Some(message.header(header::CODE)?.to_owned()),
        _ => return None,
    };
    let received = message.header(header::RECEIVED_AT).and_then(Timestamp::parse_meta);
    let mut id = Sha256::new();
    for part in [kind, &app, request.text] {
        id.update(part.as_bytes());
        id.update([0]);
    }
    Some(Callback {
        id: id.finalize().to_vec(),
        app,
        person: request.payload()?.user_id,
        position: message.sequence,
        received_at: received.unwrap_or(message.stored_at),
        code,
    })
}
