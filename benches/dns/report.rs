//! What came out, as a table.

use crate::load::Figures;
use crate::servers::Server;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians over the rounds, and each server's CPU beside that of the echo and of hickory-server, round by round.
pub(crate) fn table(servers: &[Server], figures: &[Vec<Figures>]) {
    println!(
        "| server (one core) | CPU µs/query | user | QPS | answer, octets | lost | ÷ echo | ÷ hickory-server |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (server, rounds) in servers.iter().zip(figures) {
        let of = |field: fn(&Figures) -> f64| median(rounds.iter().map(field).collect());
        let beside = |other: usize| {
            let ratios: Vec<f64> = rounds
                .iter()
                .zip(&figures[other])
                .map(|(ours, theirs)| ours.cpu / theirs.cpu)
                .collect();
            let (least, most) = ratios
                .iter()
                .fold((f64::MAX, f64::MIN), |(l, m), r| (l.min(*r), m.max(*r)));
            format!("{:.2} ({least:.2}..{most:.2})", median(ratios))
        };
        println!(
            "| {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.4} % | {} | {} |",
            server.name,
            of(|f| f.cpu),
            of(|f| f.user),
            of(|f| f.qps),
            of(|f| f.size),
            of(|f| f.lost) * 100.0,
            beside(0),
            beside(1),
        );
    }
}
