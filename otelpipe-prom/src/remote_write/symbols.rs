//! Interned texts: the symbol table of protocol 2.0, for the series of one batch.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Texts by number; number 0 is the empty text.
#[derive(Debug)]
pub(super) struct Symbols {
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    texts: String,
    /// Where text `i` ends in `texts`; it begins where the one before ends.
    ends: Vec<usize>,
}

impl Symbols {
    pub(super) fn new() -> Self {
        let mut symbols = Self {
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            texts: String::new(),
            ends: Vec::new(),
        };
        symbols.clear();
        symbols
    }

    /// Forgets all texts, keeps the room.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.texts.clear();
        self.ends.clear();
        self.ends.push(0);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of `text`.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let Self { index, hasher, texts, ends } = self;
        let hash = hasher.hash_one(text);
        if let Some(id) = index.find(hash, |id| get(texts, ends, *id) == text) {
            return *id;
        }
        let id = u32::try_from(ends.len()).expect("a batch has fewer than four thousand million texts");
        texts.push_str(text);
        ends.push(texts.len());
        index.insert_unique(hash, id, |id| hasher.hash_one(get(texts, ends, *id)));
        id
    }

    /// The text of a number that `intern` gave.
    pub(super) fn get(&self, id: u32) -> &str {
        get(&self.texts, &self.ends, id)
    }
}

fn get<'a>(texts: &'a str, ends: &[usize], id: u32) -> &'a str {
    let at = id as usize;
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(at).copied().unwrap_or(start);
    texts.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number() {
        let mut symbols = Symbols::new();
        let ids: Vec<u32> = ["", "a", "bc", "a", "", "d"].iter().map(|text| symbols.intern(text)).collect();
        assert_eq!(ids, [0, 1, 2, 1, 0, 3]);
        let texts: Vec<&str> = (0..4).map(|id| symbols.get(id)).collect();
        assert_eq!(texts, ["", "a", "bc", "d"]);
        symbols.clear();
        assert_eq!((symbols.intern("d"), symbols.len()), (1, 2));
    }
}
