//! Imports that are under way in this process. Requests for the same that come while it is imported share that import: they would read
//! the same pages. All processes share it by [`crate::imports`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::problem::Problem;

/// One import.
pub(crate) type Import = BoxFuture<'static, Result<(), Problem>>;

/// The imports of this process that have not ended, by what they read.
#[derive(Default)]
pub(crate) struct Syncs(Mutex<HashMap<String, WeakShared<Import>>>);

impl Syncs {
    /// The import of this that is under way, else a new one. It goes on as long as somebody waits for it.
    pub(crate) fn join(&self, what: &str, new: impl FnOnce() -> Import) -> Shared<Import> {
        let mut imports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        imports.retain(|_, import| is_open(import));
        if let Some(import) = imports.get(what).and_then(WeakShared::upgrade) {
            return import;
        }
        let import = new().shared();
        if let Some(weak) = import.downgrade() {
            imports.insert(what.to_owned(), weak);
        }
        import
    }
}

fn is_open(import: &WeakShared<Import>) -> bool {
    import.upgrade().is_some_and(|import| import.peek().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_shared_until_it_has_ended() {
        let (syncs, mut begun) = (Syncs::default(), 0);
        let mut join = |conversation: &str, import: Import| {
            syncs.join(conversation, || {
                begun += 1;
                import
            })
        };
        let (first, second) =
            (join("a", std::future::pending().boxed()), join("a", std::future::pending().boxed()));
        let other = join("b", async { Ok(()) }.boxed());
        assert!(first.ptr_eq(&second) && !first.ptr_eq(&other));
        assert!(other.now_or_never().is_some());
        drop((first, second));
        drop(join("a", async { Ok(()) }.boxed()));
        drop(join("b", async { Ok(()) }.boxed()));
        assert_eq!(begun, 4);
    }
}
