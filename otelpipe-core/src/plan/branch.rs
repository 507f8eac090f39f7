//! Ways to go on behind a stage that loses points.
//!
//! Which points are lost is seen when values are there, so that the plan behind such a
//! stage is made then, for the points that stay, and kept by what was lost. That takes the
//! shape before the stage; as losses hardly ever change, it is forgotten after a while and
//! found again, when it is needed, by running the stages before it once more.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::node::{Run, converted, generated};
use super::size::Size;
use super::stage::Stage;
use crate::frame::Shape;

/// Branches, by what was lost on the way here (ascending); the last taken first.
#[derive(Debug)]
pub(super) struct Branches<N> {
    known: Vec<Branch<N>>,
    shape: Option<Shape>,
    /// How often in a row no branch had to be made.
    calm: u8,
}

#[derive(Debug)]
pub(super) struct Branch<N> {
    pub(super) lost: Box<[u32]>,
    pub(super) next: N,
}

/// The shape before the first stage, and the branches taken since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
    root: &'p Shape,
    /// What was lost in the last branch, and the path to it.
    last: Option<(&'p [u32], &'p Path<'p>)>,
}

impl<N> Branches<N> {
    /// Losses come and go; more than a few patterns are not worth remembering.
    const MOST: usize = 4;
    /// So often no branch had to be made: the shape goes.
    const CALM: u8 = 2;

    /// No branch yet, from this shape.
    pub(super) fn new(shape: Shape) -> Self {
        Self { known: Vec::new(), shape: Some(shape), calm: 0 }
    }

    /// The branch of these losses. `make` makes it of the shape before `stage` if it is not
    /// known. One that `passes`, because these losses will not be again, is not kept.
    pub(super) fn take(
        &mut self,
        lost: &[u32],
        passes: bool,
        (stage, path): (usize, &Path<'_>),
        run: &mut Run<'_>,
        make: impl FnOnce(&Shape, &mut Run<'_>) -> N,
    ) -> Taken<'_, N> {
        if let Some(at) = self.known.iter().position(|branch| *branch.lost == *lost) {
            self.calm = self.calm.saturating_add(1);
            if self.calm >= Self::CALM {
                run.resized |= self.shape.take().is_some();
            }
            self.known[..=at].rotate_right(1);
            return Taken::Known(&mut self.known[0]);
        }
        (self.calm, run.resized) = (0, true);
        let shape = self.shape.get_or_insert_with(|| path.shape(stage, run));
        let branch = Branch { lost: lost.into(), next: make(shape, run) };
        if passes {
            return Taken::Passing(Box::new(branch));
        }
        self.known.truncate(Self::MOST - 1);
        self.known.insert(0, branch);
        Taken::Known(&mut self.known[0])
    }
}

impl<N> Branches<N> {
    /// What its parts take, `of` saying it of what is behind a branch.
    pub(super) fn add_to(&self, size: &mut Size, of: impl Fn(&N, &mut Size)) {
        self.shape.iter().for_each(|shape| size.add_shape(shape));
        for Branch { lost, next } in &self.known {
            size.add::<u32>(lost.len());
            of(next, size);
        }
    }
}

/// A branch that was taken.
pub(super) enum Taken<'n, N> {
    Known(&'n mut Branch<N>),
    /// It goes when the points have gone through it.
    Passing(Box<Branch<N>>),
}

impl<N> Taken<'_, N> {
    pub(super) fn branch(&mut self) -> &mut Branch<N> {
        match self {
            Self::Known(branch) => branch,
            Self::Passing(branch) => branch,
        }
    }
}

impl<'p> Path<'p> {
    /// Before any branch.
    pub(super) fn start(root: &'p Shape) -> Self {
        Self { root, last: None }
    }

    /// This path and a branch.
    pub(super) fn behind(&'p self, lost: &'p [u32]) -> Self {
        Self { root: self.root, last: Some((lost, self)) }
    }

    /// The shape before `stage`, at the end of this path.
    fn shape(&self, stage: usize, run: &mut Run<'_>) -> Shape {
        let mut losses = Vec::new();
        let mut path = self;
        while let Some((lost, before)) = path.last {
            losses.push(lost);
            path = before;
        }
        let mut losses = losses.into_iter().rev();
        let mut lost = || losses.next().expect("each stage with branches has taken one");
        let mut batch = self.root.skeleton();
        for stage in run.stages.iter_mut().take(stage) {
            let points = batch.point_count();
            match stage {
                Stage::Delta(rule) => batch = converted(&Shape::of(&batch), rule, lost()),
                Stage::Generate(rules) => batch = generated(&Shape::of(&batch), rules, lost()).0,
                Stage::Rate(rule) => {
                    batch = Shape::of(&batch).skeleton();
                    rule.apply(&mut batch).expect("every point of a skeleton has a value");
                }
                Stage::Transform(rules) => {
                    rules.apply_with(&mut batch, &mut |_, _| {});
                    run.rule_evaluations += points as u64;
                }
                _ => {
                    stage.apply(&mut batch, 0).expect("points went this way before");
                    run.rule_evaluations += points as u64;
                }
            }
            stage.forget_edits();
        }
        Shape::of(&batch)
    }
}
