//! What ADOT sent for recorded scrapes, and what we send.
