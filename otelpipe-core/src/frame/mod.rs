//! Frames: batches whose structure is shared, and whose values lie in columns.
//!
//! What a target exposes is the same from scrape to scrape, but for its values and times.
//! A [`Frame`] takes the two apart: the [`Shape`] holds resources, scopes, metrics and the
//! attributes of all points, and is made once; the [`Columns`] hold what is new. Whoever
//! meets a shape again knows it by its address, so that rules, groups and rendered text
//! are looked up once a frame and not once a point.
//!
//! A point's *slot* is its position among all points of the batch that the frame stands
//! for.
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::frame::Frame;
//! use otelpipe_core::metric::{Metric, MetricData};
//! use otelpipe_core::point::NumberPoint;
//!
//! let points = vec![NumberPoint::new(0.5, 7).with("cpu", "0"), NumberPoint::new(0.25, 7).with("cpu", "1")];
//! let mut batch = MetricBatch::default();
//! batch.scope_mut().metrics.push(Metric::new("load", MetricData::Gauge(points)));
//!
//! let mut frame = Frame::of(batch.clone());
//! assert_eq!(frame.shape().point_count(), 2);
//! assert_eq!(frame.columns().numbers[1].value, 0.25.into());
//! assert_eq!(frame.to_batch(), batch);
//!
//! // The next scrape: another value in the same place.
//! frame.columns_mut().numbers[1].value = 0.75.into();
//! assert_eq!(frame.into_batch().metrics().count(), 1);
//! ```

mod columns;
mod shape;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use columns::{Columns, Number, OtherPoint};
pub(crate) use shape::{Likeness, number_tag};
pub use shape::{MetricShape, ResourceShape, ScopeShape, Shape};

use crate::batch::MetricBatch;

/// A batch as a shape and columns.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    shape: Arc<Shape>,
    columns: Columns,
}

/// Metrics as they travel: in either form, or several that count as one batch.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// Structure and values in one.
    Batch(MetricBatch),
    /// Structure and values apart.
    Frame(Frame),
    /// One behind the other; none of them is `Parts` itself.
    Parts(Vec<Metrics>),
}

impl Frame {
    /// A frame of its parts. `columns.numbers` has one entry for each slot of the shape, and
    /// the points that are no numbers lie in `columns.others`, by slot.
    pub fn new(shape: Arc<Shape>, columns: Columns) -> Self {
        debug_assert_eq!(shape.point_count(), columns.numbers.len(), "one entry for each slot");
        Self { shape, columns }
    }

    /// The frame of a batch, with a shape of its own. Allocates for every metric.
    pub fn of(batch: MetricBatch) -> Self {
        let shape = Arc::new(Shape::of(&batch));
        let mut columns = Columns::default();
        columns.fill(batch);
        Self { shape, columns }
    }

    /// The frame of a batch that is built as `shape` says, down to every attribute; any other
    /// batch comes back. `columns` give their room.
    ///
    /// # Errors
    ///
    /// The batch and the columns, as they were.
    ///
    /// ```
    /// use otelpipe_core::batch::MetricBatch;
    /// use otelpipe_core::frame::{Columns, Frame};
    /// use otelpipe_core::metric::{Metric, MetricData};
    /// use otelpipe_core::point::NumberPoint;
    ///
    /// let batch = |name: &str, value: f64| {
    ///     let mut batch = MetricBatch::default();
    ///     let load = Metric::new(name, MetricData::Gauge(vec![NumberPoint::new(value, 7)]));
    ///     batch.scope_mut().metrics.push(load);
    ///     batch
    /// };
    /// let first = Frame::of(batch("load", 0.5));
    /// let second = Frame::of_shape(first.shape(), batch("load", 0.75), Columns::default()).expect("built alike");
    /// assert!(std::sync::Arc::ptr_eq(first.shape(), second.shape()));
    /// assert_eq!(second.to_batch(), batch("load", 0.75));
    /// assert!(Frame::of_shape(first.shape(), batch("memory", 1.0), Columns::default()).is_err());
    /// ```
    pub fn of_shape(
        shape: &Arc<Shape>,
        batch: MetricBatch,
        mut columns: Columns,
    ) -> Result<Self, (MetricBatch, Columns)> {
        if shape.likeness(&batch) == Likeness::Other {
            return Err((batch, columns));
        }
        columns.clear();
        columns.fill(batch);
        Ok(Self { shape: Arc::clone(shape), columns })
    }

    /// The structure. Frames of one source that are built alike share it.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Values and times.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Values and times, to change them. Entries must not be added or removed.
    pub fn columns_mut(&mut self) -> &mut Columns {
        &mut self.columns
    }

    /// The parts.
    pub fn into_parts(self) -> (Arc<Shape>, Columns) {
        (self.shape, self.columns)
    }

    /// Number of points.
    pub fn point_count(&self) -> usize {
        self.shape.point_count()
    }

    /// The batch that the frame stands for. Allocates for every metric; attribute lists stay
    /// shared.
    pub fn to_batch(&self) -> MetricBatch {
        self.shape.materialise(&mut self.columns.clone())
    }

    /// As [`Frame::to_batch`], and takes histograms and exemplars along instead of copying
    /// them.
    pub fn into_batch(mut self) -> MetricBatch {
        self.shape.materialise(&mut self.columns)
    }
}

impl Metrics {
    /// One batch of these parts, in order. Batches that follow each other become one.
    pub fn concat(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            push(&mut all, part);
        }
        if all.len() == 1 { all.swap_remove(0) } else { Self::Parts(all) }
    }

    /// The parts in order; itself if there are none.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Parts(parts) => parts,
            part => core::slice::from_ref(part),
        }
    }

    /// Number of points.
    pub fn point_count(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.point_count(),
            Self::Frame(frame) => frame.point_count(),
            Self::Parts(parts) => parts.iter().map(Self::point_count).sum(),
        }
    }

    /// Whether there is no resource at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Batch(batch) => batch.is_empty(),
            Self::Frame(frame) => frame.shape.is_empty(),
            Self::Parts(parts) => parts.iter().all(Self::is_empty),
        }
    }

    /// As a batch; allocates if it is none.
    pub fn into_batch(self) -> MetricBatch {
        match self {
            Self::Batch(batch) => batch,
            Self::Frame(frame) => frame.into_batch(),
            Self::Parts(parts) => {
                let mut batch = MetricBatch::default();
                parts.into_iter().for_each(|part| batch.append(part.into_batch()));
                batch
            }
        }
    }
}

/// Puts a part behind others.
fn push(parts: &mut Vec<Metrics>, part: Metrics) {
    match (part, parts.last_mut()) {
        (Metrics::Parts(more), _) => more.into_iter().for_each(|part| push(parts, part)),
        (Metrics::Batch(batch), Some(Metrics::Batch(last))) => last.append(batch),
        (part, _) => parts.push(part),
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::Batch(MetricBatch::default())
    }
}

impl From<MetricBatch> for Metrics {
    fn from(batch: MetricBatch) -> Self {
        Self::Batch(batch)
    }
}

impl From<Frame> for Metrics {
    fn from(frame: Frame) -> Self {
        Self::Frame(frame)
    }
}
