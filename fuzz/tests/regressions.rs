//! Replays the inputs that once found something, and mutations of them.

use std::fs;
use std::path::Path;

use otelpipe_fuzz::TARGETS;

/// The inputs in `regressions/TARGET`, by name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target);
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = files
        .map(|file| {
            let path = file.expect("the folder can be read").path();
            (path.display().to_string(), fs::read(&path).expect("a regression is a file"))
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn no_regression_comes_back() {
    for (target, run) in TARGETS {
        for (name, input) in inputs(target) {
            println!("{name}"); // shown if the target panics
            run(&input);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "collector"), ignore = "the collector's targets are missing")]
fn every_regression_folder_belongs_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let name = entry.expect("the folder can be read").file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?} has no target");
    }
}

#[test]
fn thousands_of_mutations_break_no_promise() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (target, run) in TARGETS {
        let seeds = inputs(target);
        if seeds.is_empty() {
            continue;
        }
        // The whole way of the samples, several times, takes long unoptimised.
        let rounds = if *target == "frames" { 1_000 } else { 20_000 };
        for round in 0..rounds {
            let (name, seed) = &seeds[random.below(seeds.len())];
            let input = mutate(seed, &mut random);
            let result = std::panic::catch_unwind(|| run(&input));
            assert!(result.is_ok(), "{name}, round {round}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    const INTERESTING: &[u8] = b" \t\n\r\"\\{},=#0159.-+eENaIi_:/[]$\0\x7f\x80\xc3\xff";
    let mut input = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 => input.insert(at, INTERESTING[random.below(INTERESTING.len())]),
            1 => input.insert(at, u8::try_from(random.below(256)).expect("below 256")),
            2 if at < input.len() => drop(input.remove(at)),
            3 if at < input.len() => input[at] = INTERESTING[random.below(INTERESTING.len())],
            4 => input.truncate(at),
            _ => {
                // Copies a piece to another place.
                let from = random.below(input.len() + 1);
                let to = (from + random.below(24)).min(input.len());
                let piece = input[from..to].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input
}

/// xorshift64*: the same numbers on each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).expect("31 bits fit") % limit
    }
}
