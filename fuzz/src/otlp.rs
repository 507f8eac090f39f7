//! OTLP as a receiver reads it: any bytes are a batch or an error, and a batch survives
//! being written and read again.

use otelpipe_core::{otlp_json, otlp_proto};

/// `data`: the body of an export request, as protobuf or as JSON.
///
/// # Panics
///
/// If a reader breaks a promise of its documentation.
pub fn run(data: &[u8]) {
    if let Ok(batch) = otlp_proto::read(data) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        otlp_proto::write(&batch, &mut first);
        let again = otlp_proto::read(&first).expect("what was written can be read");
        // As bytes, because NaN is not equal to itself.
        otlp_proto::write(&again, &mut second);
        assert_eq!(first, second);
        otlp_json::write(&batch).expect("every batch can be written as JSON");
    }
    if let Some(batch) = core::str::from_utf8(data).ok().and_then(|text| otlp_json::read(text).ok()) {
        let first = otlp_json::write(&batch).expect("every batch can be written as JSON");
        let again = otlp_json::read(&first).expect("what was written can be read");
        assert_eq!(otlp_json::write(&again).expect("every batch can be written as JSON"), first);
        let mut proto = Vec::new();
        otlp_proto::write(&batch, &mut proto);
        let same = otlp_proto::read(&proto).expect("what was written can be read");
        assert_eq!(otlp_json::write(&same).expect("every batch can be written as JSON"), first);
    }
}
