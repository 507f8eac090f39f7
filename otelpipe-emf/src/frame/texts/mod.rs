//! The constant text of many documents, what is equal kept once.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// What stands at a place of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Constant text, by position.
    Text(u32),
    /// The number at a slot.
    Slot(u32),
    /// A value by position among those that are computed.
    Value(u32),
    /// The time of the group.
    Time,
}

/// A [`Step`] in four bytes.
#[derive(Clone, Copy, Debug)]
struct Packed(u32);

impl Packed {
    const PAYLOAD: u32 = (1 << 30) - 1;

    /// `None` if there are too many of its kind.
    fn of(step: Step) -> Option<Self> {
        let (tag, payload) = match step {
            Step::Text(at) => (0, at),
            Step::Slot(at) => (1, at),
            Step::Value(at) => (2, at),
            Step::Time => (3, 0),
        };
        (payload <= Self::PAYLOAD).then_some(Self(tag << 30 | payload))
    }

    fn step(self) -> Step {
        let payload = self.0 & Self::PAYLOAD;
        match self.0 >> 30 {
            0 => Step::Text(payload),
            1 => Step::Slot(payload),
            2 => Step::Value(payload),
            _ => Step::Time,
        }
    }
}

/// Documents as steps. Positions of documents are those in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    text: Box<str>,
    /// Where each piece of text ends.
    ends: Box<[u32]>,
    steps: Box<[Packed]>,
    /// Where each document ends in `steps`.
    documents: Box<[u32]>,
}

impl Texts {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.documents.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + 4 * (self.ends.len() + self.steps.len() + self.documents.len())
    }

    /// Appends a document to `out`; `fill` writes what is no text.
    pub(crate) fn write(&self, document: usize, out: &mut String, mut fill: impl FnMut(Step, &mut String)) {
        let start = document.checked_sub(1).map_or(0, |before| self.documents[before] as usize);
        for step in &self.steps[start..self.documents[document] as usize] {
            match step.step() {
                Step::Text(at) => out.push_str(self.piece(at as usize)),
                other => fill(other, out),
            }
        }
    }

    fn piece(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..self.ends[at] as usize).unwrap_or_default()
    }
}

/// Takes documents cut into pieces.
#[derive(Debug, Default)]
pub(crate) struct TextsBuilder {
    text: String,
    /// Start and end of each piece.
    pieces: Vec<(usize, usize)>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    steps: Vec<Step>,
    /// Where each document ends in `steps`.
    documents: Vec<usize>,
}

impl TextsBuilder {
    /// Appends text to the document at hand.
    pub(crate) fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let Self { text: all, pieces, table, hasher, steps, .. } = self;
        let hash = hasher.hash_one(text);
        let get = |at: &u32| {
            let (start, end) = pieces[*at as usize];
            all.get(start..end).unwrap_or_default()
        };
        let at = match table.find(hash, |at| get(at) == text) {
            Some(at) => *at,
            None => {
                let at = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
                table.insert_unique(hash, at, |at| hasher.hash_one(get(at)));
                let start = all.len();
                all.push_str(text);
                pieces.push((start, all.len()));
                at
            }
        };
        steps.push(Step::Text(at));
    }

    /// Appends something else to the document at hand.
    pub(crate) fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The document at hand is complete.
    pub(crate) fn end(&mut self) {
        self.documents.push(self.steps.len());
    }

    /// Joins pieces that only occur one behind the other. `None` if there is too much.
    pub(crate) fn finish(self) -> Option<Texts> {
        let neighbours = Neighbours::of(&self);
        let mut text = String::with_capacity(self.text.len());
        let mut ends = Vec::new();
        // Where the row of pieces that begins with a piece went.
        let mut joined = vec![None; self.pieces.len()];
        let (mut steps, mut documents) = (Vec::new(), Vec::with_capacity(self.documents.len()));
        let mut start = 0;
        for end in &self.documents {
            for step in &self.steps[start..*end] {
                let Step::Text(piece) = *step else {
                    steps.push(Packed::of(*step)?);
                    continue;
                };
                if neighbours.before(piece).is_some() {
                    continue; // written with the one before
                }
                let at = *joined[piece as usize].get_or_insert_with(|| {
                    let mut next = Some(piece);
                    while let Some(piece) = next {
                        let (start, end) = self.pieces[piece as usize];
                        text.push_str(self.text.get(start..end).unwrap_or_default());
                        next = neighbours.after(piece);
                    }
                    ends.push(text.len());
                    ends.len() - 1
                });
                steps.push(Packed::of(Step::Text(u32::try_from(at).ok()?))?);
            }
            documents.push(u32::try_from(steps.len()).ok()?);
            start = *end;
        }
        u32::try_from(text.len()).ok()?;
        let ends = ends.into_iter().map(|end| u32::try_from(end).unwrap_or(u32::MAX));
        Some(Texts {
            text: text.into(),
            ends: ends.collect(),
            steps: steps.into(),
            documents: documents.into(),
        })
    }
}

/// For each piece the one that is always behind it, and the one always before it.
struct Neighbours {
    after: Vec<u32>,
    before: Vec<u32>,
}

/// Nothing is known yet.
const UNSEEN: u32 = u32::MAX;
/// It is not always the same.
const SEVERAL: u32 = u32::MAX - 1;

impl Neighbours {
    fn of(builder: &TextsBuilder) -> Self {
        let count = builder.pieces.len();
        let mut this = Self { after: vec![UNSEEN; count], before: vec![UNSEEN; count] };
        let mut start = 0;
        for end in &builder.documents {
            let mut last = None;
            for step in builder.steps[start..*end].iter().map(Some).chain([None]) {
                let piece = match step {
                    Some(Step::Text(piece)) => Some(*piece),
                    _ => None,
                };
                if let Some(last) = last {
                    note(&mut this.after[last as usize], piece);
                }
                if let Some(piece) = piece {
                    note(&mut this.before[piece as usize], last);
                }
                last = piece;
            }
            start = *end;
        }
        this
    }

    /// The piece that this one is always followed by, if that follows nothing else.
    fn after(&self, piece: u32) -> Option<u32> {
        let next = self.after[piece as usize];
        (next < SEVERAL && self.before[next as usize] == piece).then_some(next)
    }

    fn before(&self, piece: u32) -> Option<u32> {
        let before = self.before[piece as usize];
        (before < SEVERAL && self.after[before as usize] == piece).then_some(before)
    }
}

fn note(known: &mut u32, neighbour: Option<u32>) {
    *known = match neighbour {
        Some(piece) if *known == UNSEEN || *known == piece => piece,
        _ => SEVERAL,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn build(documents: &[Vec<Result<String, u32>>]) -> Texts {
        let mut builder = TextsBuilder::default();
        for document in documents {
            for piece in document {
                match piece {
                    Ok(text) => builder.text(text),
                    Err(slot) => builder.step(Step::Slot(*slot)),
                }
            }
            builder.end();
        }
        builder.finish().unwrap()
    }

    fn texts(texts: &Texts) -> Vec<String> {
        let one = |at| {
            let mut out = String::new();
            texts.write(at, &mut out, |step, out| match step {
                Step::Slot(at) => out.push_str(&at.to_string()),
                other => panic!("{other:?}"),
            });
            out
        };
        (0..texts.len()).map(one).collect()
    }

    #[test]
    fn text_that_occurs_again_is_kept_once_and_neighbours_are_one_piece() {
        let document = |pod: &str| {
            ["{", "cluster", "host", pod]
                .map(|text| Ok(text.to_string()))
                .into_iter()
                .chain([Err(7)])
                .collect()
        };
        let texts = build(&[document("a"), document("b"), document("a")]);
        assert_eq!(&*texts.text, "{clusterhostab");
        assert_eq!(&*texts.ends, [12, 13, 14]);
        assert_eq!(texts.steps.len(), 9);
    }

    proptest! {
        #[test]
        fn documents_come_out_as_they_were_put_in(
            documents in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![5 => "[a-d]{0,2}".prop_map(Ok), 1 => (0..9_u32).prop_map(Err)], 0..12),
                0..12),
        ) {
            let expected: Vec<String> = documents
                .iter()
                .map(|document| {
                    document.iter().map(|piece| piece.clone().unwrap_or_else(|slot| slot.to_string())).collect()
                })
                .collect();
            prop_assert_eq!(texts(&build(&documents)), expected);
        }
    }
}
