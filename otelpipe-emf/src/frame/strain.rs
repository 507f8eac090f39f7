//! Whether it pays to remember single documents.

/// What is to be done with the single documents of the reference path. To remember them
/// takes far more room than to compile frames, and only pays where parts keep going that
/// way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Advice {
    /// Keep them: they will come again.
    Remember,
    /// Nothing: most are compiled, or will be.
    Leave,
    /// Drop what was kept: most are compiled again.
    Forget,
}

/// How much is left to the reference path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strain {
    /// By frames, which are many where there are many targets.
    frames: u32,
    /// By batches.
    batches: u32,
    /// Whether documents may have been kept.
    remembers: bool,
}

impl Strain {
    /// What a part that goes the long way adds, and so many that are spliced take away.
    const OF_ONE: u32 = 4;
    /// Frames of each shape in use that may go that way before it pays. A target shows up to
    /// two shapes before it has rates, and the first frame of each is not known.
    const FRAMES: u32 = 3;
    /// Batches that may.
    const BATCHES: u32 = 4;

    pub(crate) fn spliced(&mut self) {
        self.frames = self.frames.saturating_sub(1);
        self.batches = self.batches.saturating_sub(1);
    }

    /// A frame went the long way. Where frames come now, batches need not come again.
    pub(crate) fn frame(&mut self) {
        self.frames = self.frames.saturating_add(Self::OF_ONE);
        self.batches = self.batches.saturating_sub(Self::OF_ONE);
    }

    /// A batch, which has no other way.
    pub(crate) fn batch(&mut self) {
        self.batches = (self.batches + Self::OF_ONE).min((Self::BATCHES + 1) * Self::OF_ONE);
    }

    /// To be asked once in a while, with the number of shapes in use.
    pub(crate) fn advice(&mut self, shapes: usize) -> Advice {
        let shapes = u32::try_from(shapes).unwrap_or(u32::MAX).max(1);
        let of_frames = |each: u32| shapes.saturating_mul(each * Self::OF_ONE);
        self.frames = self.frames.min(of_frames(Self::FRAMES + 1));
        let pays = self.frames > of_frames(Self::FRAMES) || self.batches > Self::BATCHES * Self::OF_ONE;
        let is_over = self.frames <= of_frames(Self::FRAMES - 1) && self.batches <= Self::OF_ONE;
        if pays {
            self.remembers = true;
            Advice::Remember
        } else if is_over && core::mem::take(&mut self.remembers) {
            Advice::Forget
        } else {
            Advice::Leave
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Advice::{Forget, Leave, Remember};

    #[test]
    fn targets_that_start_with_batches_and_two_shapes_leave_nothing_behind() {
        let mut strain = Strain::default();
        // How often each advice was given in a scrape of 100 targets.
        let mut one_scrape = |part: fn(&mut Strain), shapes: usize| {
            let mut given = [0; 3];
            for _ in 0..100 {
                part(&mut strain);
                given[match strain.advice(shapes) {
                    Remember => 0,
                    Leave => 1,
                    Forget => 2,
                }] += 1;
            }
            given
        };
        assert_eq!(one_scrape(Strain::batch, 0), [96, 4, 0]);
        assert_eq!(one_scrape(Strain::frame, 100), [0, 99, 1]);
        assert_eq!(one_scrape(Strain::frame, 100), [0, 100, 0]);
        assert_eq!(one_scrape(Strain::spliced, 100), [0, 100, 0]);
    }

    #[test]
    fn documents_of_shapes_that_keep_changing_are_remembered_until_they_no_longer_do() {
        let mut strain = Strain::default();
        let mut advices = |part: fn(&mut Strain), times: usize| {
            let one = |_| {
                part(&mut strain);
                strain.advice(2)
            };
            (0..times).map(one).last()
        };
        assert_eq!(advices(Strain::frame, 6), Some(Leave));
        assert_eq!(advices(Strain::frame, 100), Some(Remember));
        assert_eq!(advices(Strain::spliced, 8), Some(Leave));
        assert_eq!(advices(Strain::spliced, 7), Some(Leave));
        assert_eq!(advices(Strain::spliced, 1), Some(Forget));
        assert_eq!(advices(Strain::spliced, 1), Some(Leave));
    }
}
