//! Many small numbers.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A list of numbers that stays as it is, each in as few bytes as the largest one needs.
#[derive(Debug)]
pub(crate) enum Numbers {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

impl Numbers {
    /// Bytes it takes, without its own.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Narrow(numbers) => size_of_val(&**numbers),
            Self::Wide(numbers) => size_of_val(&**numbers),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Narrow(numbers) => numbers.len(),
            Self::Wide(numbers) => numbers.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> u32 {
        match self {
            Self::Narrow(numbers) => numbers[at].into(),
            Self::Wide(numbers) => numbers[at],
        }
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Narrow(Box::default())
    }
}

impl From<Vec<u32>> for Numbers {
    fn from(numbers: Vec<u32>) -> Self {
        let narrow: Option<Box<[u16]>> = numbers.iter().map(|number| u16::try_from(*number).ok()).collect();
        narrow.map_or_else(|| Self::Wide(numbers.into()), Self::Narrow)
    }
}
