//! Points of two metrics that belong together by their attributes.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::attributes::Attributes;
use crate::point::NumberPoint;
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

/// Pairs of points, each with the attributes of its result.
pub(super) struct Pairs<'a> {
    /// First point, second point, attributes; in order of the first points, then of
    /// the second ones.
    pub(super) list: Vec<(&'a NumberPoint, &'a NumberPoint, Attributes)>,
    /// First points without a partner.
    pub(super) unmatched: usize,
}

/// Every pair whose common attributes have equal values; points without a common
/// attribute match. `None` when there are more than `most` pairs.
///
/// Points of one metric mostly have the same keys. So the second points are grouped
/// by their keys, and for each set of common keys a table from values to points is
/// made: a pod finds its partner by a hash and not by comparing with every pod.
pub(super) fn matching_pairs<'a>(
    first: &'a [NumberPoint],
    second: &'a [NumberPoint],
    most: usize,
) -> Option<Pairs<'a>> {
    let mut shapes = Shapes::of(second);
    let mut pairs = Pairs { list: Vec::new(), unmatched: 0 };
    let mut partners = Vec::new();
    for point in first {
        shapes.partners(point, &mut partners);
        if pairs.list.len().saturating_add(partners.len()) > most {
            return None;
        }
        pairs.unmatched += usize::from(partners.is_empty());
        for partner in &partners {
            let partner = &second[*partner];
            pairs.list.push((point, partner, merged(&point.attributes, &partner.attributes)));
        }
    }
    Some(pairs)
}

/// The second points by their keys.
struct Shapes<'a> {
    second: &'a [NumberPoint],
    shapes: Vec<Shape<'a>>,
    hashes: DefaultHashBuilder,
}

/// Points with the same keys.
struct Shape<'a> {
    /// The attributes of the first of them, which stand for the keys.
    keys: &'a Attributes,
    points: Vec<usize>,
    /// Common keys → hash of their values → points.
    tables: HashMap<Vec<SharedStr>, HashMap<u64, Vec<usize>>>,
}

impl<'a> Shapes<'a> {
    fn of(second: &'a [NumberPoint]) -> Self {
        let mut shapes: Vec<Shape<'a>> = Vec::new();
        for (at, point) in second.iter().enumerate() {
            let shape = shapes.iter_mut().find(|shape| same_keys(shape.keys, &point.attributes));
            match shape {
                Some(shape) => shape.points.push(at),
                None => shapes.push(Shape {
                    keys: &point.attributes,
                    points: Vec::from([at]),
                    tables: HashMap::new(),
                }),
            }
        }
        Self { second, shapes, hashes: DefaultHashBuilder::default() }
    }

    /// Fills `partners` with the second points that match `point`, in order.
    fn partners(&mut self, point: &NumberPoint, partners: &mut Vec<usize>) {
        let Self { second, shapes, hashes } = self;
        partners.clear();
        let several = shapes.len() > 1;
        for shape in shapes {
            let common: Vec<SharedStr> = shape
                .keys
                .iter()
                .filter(|(key, _)| point.attributes.get(key).is_some())
                .map(|(key, _)| key.clone())
                .collect();
            let table = shape.tables.entry_ref(&common[..]).or_insert_with(|| {
                let mut table: HashMap<u64, Vec<usize>> = HashMap::new();
                for at in &shape.points {
                    table.entry(hash(hashes, &second[*at].attributes, &common)).or_default().push(*at);
                }
                table
            });
            let candidates = table.get(&hash(hashes, &point.attributes, &common));
            let matches = |at: &&usize| {
                let other = &second[**at].attributes;
                common.iter().all(|key| point.attributes.get(key) == other.get(key))
            };
            partners.extend(candidates.into_iter().flatten().filter(matches));
        }
        if several {
            partners.sort_unstable();
        }
    }
}

fn same_keys(a: &Attributes, b: &Attributes) -> bool {
    let in_order = || a.iter().zip(b).all(|((a, _), (b, _))| a == b);
    a.len() == b.len() && (in_order() || a.iter().all(|(key, _)| b.get(key).is_some()))
}

fn hash(hashes: &DefaultHashBuilder, attributes: &Attributes, keys: &[SharedStr]) -> u64 {
    let mut hasher = hashes.build_hasher();
    for key in keys {
        match attributes.get(key) {
            Some(AttributeValue::String(text)) => text.hash(&mut hasher),
            Some(AttributeValue::Int(int)) => int.hash(&mut hasher),
            Some(AttributeValue::Bool(value)) => value.hash(&mut hasher),
            // A float has two zeros that are equal; the rest is rare. Equality decides.
            _ => 0_u8.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// The first point's attributes with the second's put over them. Common ones are
/// equal, so only the others are added; with none of them the list is shared.
fn merged(first: &Attributes, second: &Attributes) -> Attributes {
    let mut merged = first.clone();
    for (key, value) in second {
        if first.get(key).is_none() {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point() -> impl Strategy<Value = NumberPoint> {
        let value = prop_oneof![
            (0..3_i64).prop_map(AttributeValue::Int),
            "[xy]".prop_map(AttributeValue::from),
            Just(AttributeValue::Double(0.0)),
            Just(AttributeValue::Double(-0.0)),
        ];
        proptest::collection::vec(("[abc]", value), 0..4).prop_map(|pairs| NumberPoint {
            attributes: pairs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect(),
            ..NumberPoint::default()
        })
    }

    fn points() -> impl Strategy<Value = Vec<NumberPoint>> {
        proptest::collection::vec(point(), 0..8)
    }

    proptest! {
        #[test]
        fn pairs_are_those_of_two_loops(first in points(), second in points()) {
            let fast = matching_pairs(&first, &second, usize::MAX).expect("no limit");
            let mut slow = Vec::new();
            let mut unmatched = 0;
            for a in &first {
                let before = slow.len();
                for b in &second {
                    let common = |(key, value): &(SharedStr, AttributeValue)| {
                        b.attributes.get(key).is_none_or(|other| other == value)
                    };
                    if a.attributes.iter().all(common) {
                        let mut attributes = a.attributes.clone();
                        for (key, value) in &b.attributes {
                            attributes.insert(key.clone(), value.clone());
                        }
                        slow.push((a, b, attributes));
                    }
                }
                unmatched += usize::from(slow.len() == before);
            }
            prop_assert_eq!(fast.unmatched, unmatched);
            prop_assert_eq!(fast.list, slow);
        }
    }

    #[test]
    fn more_pairs_than_allowed_are_refused() {
        let points = [NumberPoint::default(), NumberPoint::default()];
        assert!(matching_pairs(&points, &points, 4).is_some());
        assert!(matching_pairs(&points, &points, 3).is_none());
    }
}
