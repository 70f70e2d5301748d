//! What it costs that questions are counted (`top`), changes are remembered (`history`) and questions and clients wait: with
//! and without, in process; then ten thousand questions and a thousand clients that wait for one name.
//! `cargo bench --bench overhead`.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod counting;
mod remembering;
mod waiting;

fn main() {
    println!("| in process | without | with | allocations without | with | memory, MB |");
    println!("|---|---|---|---|---|---|");
    for names in [1_000, 100_000] {
        counting::row(names);
    }
    remembering::row();
    waiting::tables();
}

/// The fastest of some runs, in nanoseconds for each of `count`, and the allocations of one run for each.
fn measured(count: usize, mut run: impl FnMut()) -> (f64, f64) {
    const RUNS: usize = 10;
    let mut nanoseconds = f64::MAX;
    for _ in 0..RUNS {
        let start = std::time::Instant::now();
        run();
        nanoseconds = nanoseconds.min(start.elapsed().as_secs_f64() * 1e9);
    }
    let taken = allocation_counter::measure(run);
    let each = |sum: f64| sum / count as f64;
    (each(nanoseconds), each(taken.count_total as f64))
}
