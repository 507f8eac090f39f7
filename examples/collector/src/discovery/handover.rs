//! Lists of targets on their way within the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

/// The texts of files that a component of this process writes for file discovery. Who reads
/// such a file in the same process has each text at once, also where the file itself cannot
/// be written: the file system of a container may be read-only.
#[derive(Clone, Debug, Default)]
pub struct Handover(Arc<watch::Sender<Texts>>);

/// By path, as the writer's configuration spells it.
pub type Texts = BTreeMap<PathBuf, Arc<str>>;

impl Handover {
    /// Hands over the text of a file, in place of the one from before.
    pub fn give(&self, file: &Path, text: &str) {
        self.0.send_modify(|texts| {
            texts.insert(file.to_owned(), text.into());
        });
    }

    /// All texts as they are, and word of each that comes.
    pub fn listen(&self) -> watch::Receiver<Texts> {
        self.0.subscribe()
    }
}
