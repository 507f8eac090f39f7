//! Documents cut into pieces on their way into [`Texts`].

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::ops::Range;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::neighbours::Neighbours;
use super::{Form, Kind, Place, Step, Texts};

/// Takes documents cut into pieces.
#[derive(Debug, Default)]
pub(crate) struct TextsBuilder {
    pieces: Pieces,
    forms: Vec<Draft>,
    /// Of all forms; no position of a row is known yet.
    places: Vec<Place>,
    /// Forms by their places and escapes.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Form and numbers of each document.
    rows: Vec<u32>,
    /// The document at hand.
    document: Vec<Place>,
    numbers: Vec<u32>,
    /// The last piece, and for each piece which one came after it last time: mostly it
    /// comes again.
    last: u32,
    followers: Vec<u32>,
    overflows: bool,
}

/// A form, as far as the documents so far show it.
#[derive(Debug)]
struct Draft {
    places: Range<usize>,
    columns: Vec<Column>,
    escapes: u32,
    documents: u32,
}

/// What the numbers at one position of a form's rows have in common.
#[derive(Debug)]
struct Column {
    is_text: bool,
    first: u32,
    /// All are the first one.
    is_constant: bool,
    /// All are that of another column, which is no copy itself.
    copy_of: Option<usize>,
}

/// Texts, each kept once.
#[derive(Debug, Default)]
struct Pieces {
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl TextsBuilder {
    /// Appends text to the document at hand.
    pub(crate) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            let piece = self.piece(text);
            self.place(Kind::Text, piece as usize);
        }
    }

    /// Appends text for which other documents may have another one.
    pub(crate) fn own_text(&mut self, text: &str) {
        let piece = self.piece(text);
        self.place(Kind::Own, 0);
        self.numbers.push(piece);
    }

    fn piece(&mut self, text: &str) -> u32 {
        let Self { pieces, last, followers, .. } = self;
        let known = followers.get(*last as usize).copied();
        let piece = match known.filter(|piece| pieces.get(*piece as usize) == text) {
            Some(piece) => piece,
            None => pieces.add(text),
        };
        if known != Some(piece) {
            followers.resize(pieces.ends.len().max(followers.len()), 0);
            followers[*last as usize] = piece;
        }
        *last = piece;
        piece
    }

    /// Appends something else to the document at hand.
    pub(crate) fn step(&mut self, step: Step) {
        let (kind, number) = match step {
            Step::Slot(at) => (Kind::Slot, Some(at)),
            Step::Value(at) => (Kind::Value, Some(at)),
            Step::Time => (Kind::Time, None),
        };
        self.place(kind, 0);
        self.numbers.extend(number);
    }

    fn place(&mut self, kind: Kind, at: usize) {
        match Place::new(kind, at) {
            Some(place) => self.document.push(place),
            None => self.overflows = true,
        }
    }

    /// The document at hand is complete. Those of one form have equal `escapes`.
    pub(crate) fn end(&mut self, escapes: u32) {
        let Self { forms, places, table, hasher, rows, document, numbers, .. } = self;
        let key = |at: &u32| {
            let form: &Draft = &forms[*at as usize];
            (&places[form.places.clone()], form.escapes)
        };
        let wanted = (document.as_slice(), escapes);
        let hash = hasher.hash_one(wanted);
        let form = match table.find(hash, |at| key(at) == wanted) {
            Some(at) => *at,
            None => {
                let at = u32::try_from(forms.len()).unwrap_or(u32::MAX);
                table.insert_unique(hash, at, |at| hasher.hash_one(key(at)));
                let start = places.len();
                places.extend_from_slice(document);
                forms.push(Draft {
                    places: start..places.len(),
                    columns: Column::all(document, numbers),
                    escapes,
                    documents: 0,
                });
                at
            }
        };
        let known = &mut forms[form as usize];
        known.documents += 1;
        for (at, column) in known.columns.iter_mut().enumerate() {
            column.is_constant &= numbers[at] == column.first;
            column.copy_of = column.copy_of.filter(|other| numbers[*other] == numbers[at]);
        }
        rows.push(form);
        rows.append(numbers);
        document.clear();
    }

    /// Leaves to the rows what differs within a form, and joins pieces that follow each
    /// other. `None` if there is too much.
    pub(crate) fn finish(mut self) -> Option<Texts> {
        if self.overflows {
            return None;
        }
        let (mut forms, mut drafted) = (Vec::with_capacity(self.forms.len()), Vec::new());
        let mut uses = Vec::with_capacity(self.forms.len());
        for draft in &self.forms {
            let start = drafted.len();
            let width = draft.settle(&self.places[draft.places.clone()], &mut self.pieces, &mut drafted)?;
            forms.push(Form { end: 0, width: u32::try_from(width).ok()?, escapes: draft.escapes });
            uses.push((start..drafted.len(), draft.documents));
        }
        u32::try_from(self.pieces.text.len()).ok()?;
        let mut neighbours = Neighbours::new(self.pieces.ends.len());
        for (range, documents) in &uses {
            neighbours.see(drafted[range.clone()].iter().map(|place| place.text()), *documents);
        }
        let mut settled = Settled::default();
        for (form, (range, _)) in forms.iter_mut().zip(uses) {
            settled.form(&drafted[range], &self.pieces, &neighbours)?;
            form.end = u32::try_from(settled.places.len()).ok()?;
        }
        let rows = self.settled_rows(&mut settled);
        let Settled { pieces: Pieces { text, ends, .. }, places, .. } = settled;
        u32::try_from(text.len()).ok()?;
        Some(Texts {
            text: text.into(),
            ends: ends.into(),
            forms: forms.into(),
            places: places.into(),
            rows: rows.into(),
        })
    }

    /// The rows with what differs only.
    fn settled_rows(&self, settled: &mut Settled) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut rest = self.rows.as_slice();
        while let [form, numbers @ ..] = rest {
            rows.push(*form);
            let columns = &self.forms[*form as usize].columns;
            let differing = numbers.iter().zip(columns).filter(|(_, column)| column.differs());
            rows.extend(differing.map(|(number, column)| match column.is_text {
                true => settled.piece(*number, &self.pieces),
                false => *number,
            }));
            rest = &numbers[columns.len()..];
        }
        rows
    }
}

impl Draft {
    /// Appends the places as they stay, but for pieces that can be joined, and returns how
    /// many numbers are left to a row.
    fn settle(&self, drafted: &[Place], pieces: &mut Pieces, places: &mut Vec<Place>) -> Option<usize> {
        // Where the numbers of each column are found in a row.
        let mut positions = vec![0; self.columns.len()];
        let mut width = 0;
        let mut columns = self.columns.iter().enumerate();
        let start = places.len();
        for place in drafted {
            let column = if place.has_number() { columns.next() } else { None };
            let place = match column {
                None => *place,
                Some((_, column)) if column.is_text && column.is_constant => {
                    let name = places[start..].last().and_then(|before| before.text());
                    places.truncate(places.len() - usize::from(name.is_some()));
                    let piece = pieces.add_pair(name, column.first as usize);
                    Place::new(Kind::Text, piece as usize)?
                }
                Some((at, column)) => {
                    positions[at] = match column.copy_of {
                        Some(other) => positions[other],
                        None => {
                            width += 1;
                            width - 1
                        }
                    };
                    Place::new(place.kind(), positions[at])?
                }
            };
            places.push(place);
        }
        Some(width)
    }
}

impl Column {
    /// The columns of a form whose first document this is.
    fn all(document: &[Place], numbers: &[u32]) -> Vec<Self> {
        let numbered = document.iter().filter(|place| place.has_number());
        let mut columns: Vec<Self> = Vec::with_capacity(numbers.len());
        for (place, number) in numbered.zip(numbers) {
            let is_text = place.kind() == Kind::Own;
            let copy_of =
                columns.iter().position(|before| is_text && before.is_text && before.first == *number);
            columns.push(Self { is_text, first: *number, is_constant: true, copy_of });
        }
        columns
    }

    /// Whether a row has a number for it.
    fn differs(&self) -> bool {
        !self.is_text || !(self.is_constant || self.copy_of.is_some())
    }
}

impl Pieces {
    fn add(&mut self, text: &str) -> u32 {
        let Self { text: all, ends, table, hasher } = self;
        let hash = hasher.hash_one(text);
        let get = |at: &u32| super::piece(all, ends, *at as usize);
        if let Some(at) = table.find(hash, |at| get(at) == text) {
            return *at;
        }
        let at = u32::try_from(ends.len()).unwrap_or(u32::MAX);
        table.insert_unique(hash, at, |at| hasher.hash_one(get(at)));
        all.push_str(text);
        ends.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
        at
    }

    /// Adds what a piece and the text of a label behind it make together: they belong to
    /// each other, whoever has the same text for another label.
    fn add_pair(&mut self, name: Option<usize>, text: usize) -> u32 {
        let (name, text) = (name.map_or("", |name| self.get(name)), self.get(text));
        let mut pair = String::with_capacity(name.len() + text.len());
        pair.push_str(name);
        pair.push_str(text);
        self.add(&pair)
    }

    fn get(&self, at: usize) -> &str {
        super::piece(&self.text, &self.ends, at)
    }
}

/// Pieces and places as they stay.
#[derive(Default)]
struct Settled {
    pieces: Pieces,
    /// Where each of the builder's pieces went, as far as rows have it.
    at: HashMap<u32, u32>,
    places: Vec<Place>,
    /// Text that the next place begins with.
    text: String,
}

impl Settled {
    /// Where a piece of a row went.
    fn piece(&mut self, piece: u32, pieces: &Pieces) -> u32 {
        *self.at.entry(piece).or_insert_with(|| self.pieces.add(pieces.get(piece as usize)))
    }

    /// Appends the places of a form, pieces that stand next to each other as one.
    fn form(&mut self, drafted: &[Place], pieces: &Pieces, neighbours: &Neighbours) -> Option<()> {
        for place in drafted {
            let Some(first) = place.text() else {
                self.flush()?;
                self.places.push(*place);
                continue;
            };
            if neighbours.before(first).is_some() {
                continue; // it was taken with the one before
            }
            let start = self.text.len();
            let mut next = Some(first);
            while let Some(piece) = next {
                self.text.push_str(pieces.get(piece));
                next = neighbours.after(piece);
            }
            if neighbours.is_worth_a_place(first, self.text.len() - start) {
                let alone = self.text.split_off(start);
                self.flush()?;
                self.text = alone;
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Makes a place of the text that has gathered, if any.
    fn flush(&mut self) -> Option<()> {
        if !self.text.is_empty() {
            let piece = self.pieces.add(&self.text);
            self.places.push(Place::new(Kind::Text, piece as usize)?);
            self.text.clear();
        }
        Some(())
    }
}
