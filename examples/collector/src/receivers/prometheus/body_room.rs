//! Room for inflated bodies, used again from scrape to scrape.

use core::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::compression::{Encoding, UnpackError};

/// Room for one inflated body, shared by targets that are scraped one after the other. A
/// body that comes while another one is in use gets room of its own.
#[derive(Clone, Debug, Default)]
pub struct BodyRoom(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    room: Vec<u8>,
    /// Bodies in a row that needed far less.
    small: u32,
}

/// The text of a scrape.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScrapeBody {
    /// As it came.
    Plain(Bytes),
    /// It was packed.
    Inflated(Inflated),
}

/// A body in a [`BodyRoom`], which gets its room back at the end.
#[derive(Debug)]
pub struct Inflated {
    text: Vec<u8>,
    room: BodyRoom,
}

/// A body that is larger takes its room with it.
const MOST_KEPT: usize = 8 << 20;
/// So many bodies that need less than a quarter of the room take it away.
const MOST_SMALL: u32 = 100;

impl BodyRoom {
    pub(super) fn inflate(&self, packed: &[u8], limit: usize) -> Result<ScrapeBody, UnpackError> {
        let room = core::mem::take(&mut self.kept().room);
        let text = Encoding::Gzip.unpack_into(room, packed, limit)?;
        Ok(ScrapeBody::Inflated(Inflated { text, room: self.clone() }))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take_back(&mut self, text: Vec<u8>) {
        let is_small = text.len() < text.capacity() / 4;
        self.small = if is_small { self.small + 1 } else { 0 };
        if text.capacity() <= MOST_KEPT && self.small < MOST_SMALL {
            self.room = text;
        } else {
            *self = Self::default();
        }
    }
}

impl Drop for Inflated {
    fn drop(&mut self) {
        let text = core::mem::take(&mut self.text);
        self.room.kept().take_back(text);
    }
}

impl Deref for ScrapeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text,
            Self::Inflated(inflated) => &inflated.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(room: &BodyRoom, text: &[u8]) -> ScrapeBody {
        room.inflate(&Encoding::Gzip.pack(text), 100 << 20).unwrap()
    }

    fn address(body: &ScrapeBody) -> *const u8 {
        body.as_ptr()
    }

    #[test]
    fn bodies_one_after_the_other_share_their_room() {
        let room = BodyRoom::default();
        let long = b"up 1\n".repeat(1_000);
        let first = inflated(&room, &long);
        assert_eq!(*first, *long);
        let at = address(&first);
        drop(first);
        let second = inflated(&room, b"down 0\n");
        assert_eq!((&*second, address(&second)), (&b"down 0\n"[..], at));
        let third = inflated(&room, &long);
        assert_eq!((&*second, &*third), (&b"down 0\n"[..], &*long));
        assert_ne!(address(&third), at);
    }

    #[test]
    fn room_that_is_too_large_or_not_needed_is_given_up() {
        let room = BodyRoom::default();
        drop(inflated(&room, &vec![b'x'; MOST_KEPT + 1]));
        assert_eq!(room.kept().room.capacity(), 0);
        drop(inflated(&room, &[b'x'; 10_000]));
        for _ in 0..MOST_SMALL {
            assert!(room.kept().room.capacity() >= 10_000);
            drop(inflated(&room, b"up 1\n"));
        }
        assert_eq!(room.kept().room.capacity(), 0);
    }

    #[test]
    fn what_cannot_be_inflated_is_an_error_and_leaves_the_room_usable() {
        let room = BodyRoom::default();
        drop(inflated(&room, b"up 1\n"));
        assert!(room.inflate(b"no gzip", 100).is_err());
        assert_eq!(*inflated(&room, b"up 0\n"), *b"up 0\n");
    }
}
