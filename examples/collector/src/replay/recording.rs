//! Recorded expositions: a folder with `index.jsonl`, or bare files.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// Bytes of one recorded body, after inflating: what a scrape accepts too.
const BODY_LIMIT: u64 = 256 << 20;

/// One recorded scrape.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What was scraped: the node, or the name of the first bare file: all bare files
    /// are scrapes of one target.
    pub source: String,
    /// Where the body is.
    pub file: PathBuf,
    /// When it was scraped, milliseconds since the epoch; `None` for a bare file.
    pub at_ms: Option<i64>,
    /// Whether an index says of which target it is a scrape.
    pub indexed: bool,
}

/// Why a recording cannot be replayed. The text names the file.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct RecordingError {
    file: String,
    reason: String,
}

impl RecordingError {
    fn new(file: &Path, reason: impl std::fmt::Display) -> Self {
        Self { file: file.display().to_string(), reason: reason.to_string() }
    }
}

/// A line of `index.jsonl`. Older recordings name the target otherwise.
#[derive(Deserialize)]
struct IndexLine {
    file: String,
    #[serde(alias = "target")]
    node: Option<String>,
    #[serde(alias = "t_ms")]
    arrived_ms: Option<i64>,
}

/// The scrapes under the given paths, in the order in which they are replayed. A folder
/// is read by its `index.jsonl` (its own, or that of `expositions` below it), or file by
/// file in the order of names.
///
/// # Errors
///
/// A path does not exist, an index is broken, or nothing is found.
pub fn find(inputs: &[PathBuf]) -> Result<Vec<Recorded>, RecordingError> {
    let mut found = Vec::new();
    for input in inputs {
        let about = std::fs::metadata(input).map_err(|error| RecordingError::new(input, error))?;
        if !about.is_dir() {
            found.push(bare(input));
            continue;
        }
        let below = input.join("expositions");
        let index =
            [input.join("index.jsonl"), below.join("index.jsonl")].into_iter().find(|index| index.is_file());
        match index {
            Some(index) => found.extend(read_index(&index)?),
            None => found.extend(list(if below.is_dir() { &below } else { input })?),
        }
    }
    let mut bare = found.iter_mut().filter(|scrape| scrape.at_ms.is_none() && !scrape.indexed);
    if let Some(first) = bare.next() {
        bare.for_each(|scrape| scrape.source.clone_from(&first.source));
    }
    if found.is_empty() {
        let first = inputs.first().map_or(Path::new(""), PathBuf::as_path);
        return Err(RecordingError::new(
            first,
            "no exposition found; name files, or a folder with an index.jsonl",
        ));
    }
    Ok(found)
}

/// The node objects recorded beside a folder of expositions (`nodes.json`), if any.
///
/// # Errors
///
/// The file exists and cannot be read.
pub fn nodes(inputs: &[PathBuf]) -> Result<Option<String>, RecordingError> {
    let file = inputs
        .iter()
        .flat_map(|input| {
            [Some(input.join("nodes.json")), input.parent().map(|folder| folder.join("nodes.json"))]
        })
        .flatten()
        .find(|file| file.is_file());
    match file {
        Some(file) => {
            std::fs::read_to_string(&file).map(Some).map_err(|error| RecordingError::new(&file, error))
        }
        None => Ok(None),
    }
}

impl Recorded {
    /// The body, inflated if its name ends in `.gz`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no gzip, or is larger than a scrape may be.
    pub fn body(&self) -> Result<Vec<u8>, RecordingError> {
        let wrong = |error: &dyn std::fmt::Display| RecordingError::new(&self.file, error);
        let file = std::fs::File::open(&self.file).map_err(|error| wrong(&error))?;
        let mut body = Vec::new();
        let read = if self.file.extension().is_some_and(|ending| ending == "gz") {
            MultiGzDecoder::new(file).take(BODY_LIMIT + 1).read_to_end(&mut body)
        } else {
            file.take(BODY_LIMIT + 1).read_to_end(&mut body)
        };
        read.map_err(|error| wrong(&error))?;
        if body.len() as u64 > BODY_LIMIT {
            return Err(wrong(&"larger than 256 MiB"));
        }
        Ok(body)
    }
}

fn bare(file: &Path) -> Recorded {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Recorded { source: name, file: file.to_owned(), at_ms: None, indexed: false }
}

fn read_index(index: &Path) -> Result<Vec<Recorded>, RecordingError> {
    let text = std::fs::read_to_string(index).map_err(|error| RecordingError::new(index, error))?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: IndexLine = serde_json::from_str(line)
            .map_err(|error| RecordingError::new(index, format!("line {}: {error}", at + 1)))?;
        // Some indexes name files from the folder above their own.
        let beside = folder.join(&line.file);
        let file = if beside.exists() { beside } else { folder.join("..").join(&line.file) };
        let source = line.node.unwrap_or_else(|| line.file.clone());
        found.push(Recorded { source, file, at_ms: line.arrived_ms, indexed: true });
    }
    Ok(found)
}

fn list(folder: &Path) -> Result<Vec<Recorded>, RecordingError> {
    let entries = std::fs::read_dir(folder).map_err(|error| RecordingError::new(folder, error))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files.iter().map(|file| bare(file)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name)
    }

    #[test]
    fn a_golden_folder_is_read_by_its_index() {
        let found = find(&[golden("eks-fargate")]).unwrap();
        assert_eq!(found.len(), 12);
        assert!(found.iter().all(|scrape| scrape.at_ms.is_some()));
        let body = found[0].body().unwrap();
        assert!(body.starts_with(b"# HELP cadvisor_version_info"));
        assert!(nodes(&[golden("eks-fargate")]).unwrap().unwrap().contains("fargate-ip-10-0-0-10"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = find(&[PathBuf::from("no/such/folder")]).unwrap_err().to_string();
        assert!(error.starts_with("no/such/folder: "), "{error}");
    }
}
