//! The text of many documents: what they have in common kept once, of each only the rest.

mod builder;
mod neighbours;
mod parts;

use alloc::boxed::Box;
use alloc::string::String;

pub(crate) use builder::TextsBuilder;
pub(crate) use parts::each_part;

use super::numbers::Numbers;

/// What stands at a place of a document besides text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// The number at a slot.
    Slot(u32),
    /// A value by position among those that are computed.
    Value(u32),
    /// The time of the group.
    Time,
}

/// Documents, each a row of numbers in one of a few forms: a container has the names of its
/// labels and metrics in common with many others, and of its own only the values of some
/// labels and the slots of its points. What one label says in part that another one says,
/// too, is kept once (see [`each_part`]).
///
/// ```text
/// forms  0: {"PodName":<text at 0>,"Version":"1","cpu":<slot at 1>,"pod":<text at 0>}
/// rows   form 0, pod a, slot 7; form 0, pod b, slot 8; form 1, …
/// ```
#[derive(Debug, Default)]
pub(crate) struct Texts {
    text: Box<str>,
    /// Where each piece of text ends.
    ends: Box<[u32]>,
    forms: Box<[Form]>,
    /// Of all forms.
    places: Box<[Place]>,
    /// Form and numbers of each document.
    rows: Numbers,
}

#[derive(Clone, Copy, Debug)]
struct Form {
    /// Where it ends in [`Texts::places`].
    end: u32,
    /// How many numbers a row has behind that of its form.
    width: u32,
    /// See [`TextsBuilder::end`].
    escapes: u32,
}

/// A place of a form in four bytes: its kind, and which one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Place(u32);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A piece of text, the same in all documents.
    Text,
    /// A piece of text of the document's own. This one and the next two stand for the number
    /// at a position of the row.
    Own,
    Slot,
    Value,
    Time,
}

impl Place {
    const KIND_BITS: u32 = 3;

    /// `None` for a position that does not fit.
    fn new(kind: Kind, at: usize) -> Option<Self> {
        let at = u32::try_from(at).ok().filter(|at| at.leading_zeros() >= Self::KIND_BITS)?;
        Some(Self(at << Self::KIND_BITS | kind as u32))
    }

    fn kind(self) -> Kind {
        match self.0 & ((1 << Self::KIND_BITS) - 1) {
            0 => Kind::Text,
            1 => Kind::Own,
            2 => Kind::Slot,
            3 => Kind::Value,
            _ => Kind::Time,
        }
    }

    fn at(self) -> usize {
        (self.0 >> Self::KIND_BITS) as usize
    }

    /// The piece of text that stands here in all documents.
    fn text(self) -> Option<usize> {
        (self.kind() == Kind::Text).then(|| self.at())
    }

    fn has_number(self) -> bool {
        matches!(self.kind(), Kind::Own | Kind::Slot | Kind::Value)
    }
}

impl Texts {
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
            + size_of_val(&*self.ends)
            + size_of_val(&*self.forms)
            + size_of_val(&*self.places)
            + self.rows.bytes()
    }

    /// Appends the document whose row begins at `row` (the first one's at 0), and moves on
    /// to the next one's. `fill` writes what is no text. Returns what
    /// [`TextsBuilder::end`] was told of the document.
    #[inline]
    pub(crate) fn write(
        &self,
        row: &mut usize,
        out: &mut String,
        fill: impl FnMut(Step, &mut String),
    ) -> u32 {
        match &self.rows {
            Numbers::Narrow(rows) => self.write_row(rows, row, out, fill),
            Numbers::Wide(rows) => self.write_row(rows, row, out, fill),
        }
    }

    #[inline]
    fn write_row<N: Copy + Into<u32>>(
        &self,
        rows: &[N],
        row: &mut usize,
        out: &mut String,
        mut fill: impl FnMut(Step, &mut String),
    ) -> u32 {
        let form: u32 = rows[*row].into();
        let form = form as usize;
        let Form { end, width, escapes } = self.forms[form];
        let start = form.checked_sub(1).map_or(0, |before| self.forms[before].end);
        let numbers = &rows[*row + 1..][..width as usize];
        *row += 1 + numbers.len();
        for place in &self.places[start as usize..end as usize] {
            let number = || numbers[place.at()].into();
            match place.kind() {
                Kind::Text => out.push_str(self.piece(place.at())),
                Kind::Own => out.push_str(self.piece(number() as usize)),
                Kind::Slot => fill(Step::Slot(number()), out),
                Kind::Value => fill(Step::Value(number()), out),
                Kind::Time => fill(Step::Time, out),
            }
        }
        escapes
    }

    #[inline]
    fn piece(&self, at: usize) -> &str {
        piece(&self.text, &self.ends, at)
    }
}

#[inline]
fn piece<'t>(text: &'t str, ends: &[u32], at: usize) -> &'t str {
    let start = at.checked_sub(1).map_or(0, |before| ends[before] as usize);
    text.get(start..ends[at] as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// What a document is put together from.
    #[derive(Clone, Debug)]
    enum Part {
        Text(String),
        Own(String),
        Slot(u32),
        Value(u32),
        Time,
    }

    fn build(documents: &[Vec<Part>]) -> Texts {
        let mut builder = TextsBuilder::default();
        for document in documents {
            for part in document {
                match part {
                    Part::Text(text) => builder.text(text),
                    Part::Own(text) => builder.own_text(text),
                    Part::Slot(at) => builder.step(Step::Slot(*at)),
                    Part::Value(at) => builder.step(Step::Value(*at)),
                    Part::Time => builder.step(Step::Time),
                }
            }
            builder.end(u32::try_from(document.len() / 4).unwrap());
        }
        builder.finish().unwrap()
    }

    /// So many documents as they come out, and what was told at their ends.
    fn written(texts: &Texts, count: usize) -> Vec<(String, u32)> {
        let mut row = 0;
        let mut one = |_| {
            let mut out = String::new();
            let escapes = texts.write(&mut row, &mut out, |step, out| match step {
                Step::Slot(at) => out.push_str(&at.to_string()),
                Step::Value(at) => out.push_str(&(at * 2).to_string()),
                Step::Time => out.push('T'),
            });
            (out, escapes)
        };
        (0..count).map(&mut one).collect()
    }

    fn expected(documents: &[Vec<Part>]) -> Vec<(String, u32)> {
        let one = |part: &Part| match part {
            Part::Text(text) | Part::Own(text) => text.clone(),
            Part::Slot(at) => at.to_string(),
            Part::Value(at) => (at * 2).to_string(),
            Part::Time => "T".into(),
        };
        let whole = |document: &Vec<Part>| {
            (document.iter().map(one).collect(), u32::try_from(document.len() / 4).unwrap())
        };
        documents.iter().map(whole).collect()
    }

    /// A container as it looks in documents, with its pod twice.
    fn container(pod: &str, name: &str, slot: u32) -> Vec<Part> {
        let [text, own] = [|text: &str| Part::Text(text.into()), |text: &str| Part::Own(text.into())];
        vec![
            text("{cluster:"),
            own("c"),
            text(",pod:"),
            own(pod),
            text(",name:"),
            own(name),
            text(",all:"),
            own(pod),
            text(",cpu:"),
            Part::Slot(slot),
            text("}"),
        ]
    }

    #[test]
    fn a_document_is_kept_as_what_is_its_own() {
        let texts = build(&[container("a", "x", 7), container("b", "x", 8), container("a", "y", 9)]);
        assert_eq!(texts.forms.len(), 1);
        assert_eq!(&*texts.text, "{cluster:c,pod:,name:,all:,cpu:}axby");
        // Form, pod, name, slot.
        assert!(
            matches!(&texts.rows, Numbers::Narrow(rows) if **rows == [0, 5, 6, 7, 0, 7, 6, 8, 0, 5, 8, 9])
        );
        assert_eq!(written(&texts, 3)[2].0, "{cluster:c,pod:a,name:y,all:a,cpu:9}");
    }

    #[test]
    fn what_never_differs_is_in_no_row() {
        let texts = build(&[container("a", "x", 7), container("a", "x", 8)]);
        assert_eq!(&*texts.text, "{cluster:c,pod:a,name:x,all:a,cpu:}");
        assert_eq!((texts.ends.len(), texts.places.len()), (2, 3));
        assert!(matches!(&texts.rows, Numbers::Narrow(rows) if **rows == [0, 7, 0, 8]));
    }

    #[test]
    fn long_text_of_several_forms_is_kept_once_and_short_text_with_its_neighbours() {
        let long = "x".repeat(200);
        let document = |name: &str, slot| {
            [name, "=", &long]
                .map(|text| Part::Text(text.into()))
                .into_iter()
                .chain([Part::Slot(slot)])
                .collect()
        };
        let texts = build(&[document("a", 0), document("b", 1)]);
        assert_eq!(&*texts.text, format!("a={long}b"));
        let often: Vec<Vec<Part>> =
            (0..20).map(|slot| document(if slot < 10 { "a" } else { "b" }, slot)).collect();
        let texts = build(&often);
        assert_eq!(&*texts.text, format!("a={long}b={long}"));
        assert_eq!(texts.places.len(), 4);
    }

    #[test]
    fn numbers_beyond_two_bytes_widen_all_rows() {
        let documents = [container("a", "x", 65_535), container("b", "x", 65_536)];
        let texts = build(&documents);
        assert!(matches!(texts.rows, Numbers::Wide(_)));
        assert_eq!(written(&texts, 2), expected(&documents));
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            4 => "[a-d]{0,2}".prop_map(Part::Text),
            3 => "[a-c]{0,1}".prop_map(Part::Own),
            1 => prop_oneof![0..9_u32, 65_530..65_540_u32].prop_map(Part::Slot),
            1 => (0..9_u32).prop_map(Part::Value),
            1 => Just(Part::Time),
        ]
    }

    /// Documents that look alike but for their own texts and slots, and ones that do not.
    fn documents() -> impl Strategy<Value = Vec<Vec<Part>>> {
        let form = proptest::collection::vec(part(), 0..12);
        let alike = (form, proptest::collection::vec(("[a-c]{0,1}", "[a-c]{0,1}", 0..9_u32), 1..5));
        let alike = alike.prop_map(|(form, rows)| {
            let mut documents = Vec::new();
            for (even, odd, slot) in rows {
                let one = |(at, part): (usize, &Part)| match part {
                    Part::Own(_) if at % 2 == 0 => Part::Own(even.clone()),
                    Part::Own(_) => Part::Own(odd.clone()),
                    Part::Slot(before) => Part::Slot(before + slot),
                    other => other.clone(),
                };
                documents.push(form.iter().enumerate().map(one).collect());
            }
            documents
        });
        proptest::collection::vec(alike, 0..5).prop_map(|forms| forms.into_iter().flatten().collect())
    }

    proptest! {
        #[test]
        fn documents_come_out_as_they_were_put_in(documents in documents()) {
            prop_assert_eq!(written(&build(&documents), documents.len()), expected(&documents));
        }
    }
}
