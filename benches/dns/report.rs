//! What came out, as a table.

use crate::load::Figures;
use crate::servers::Server;

pub(crate) fn median(values: Vec<f64>) -> f64 {
    percentile(&values, 0.5)
}

/// The value below which this share of the values is.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}

/// What is measured of one server in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) udp: Figures,
    /// Where questions come at two paces: the median and the 99th percentile, in µs.
    pub(crate) paced: [[f64; 2]; 2],
    /// CPU per query over TCP, in µs; an echo has none.
    pub(crate) tcp: Option<f64>,
    /// In MB.
    pub(crate) memory: f64,
}

/// The server that the others are set beside, by its place.
const ECHO: usize = 0;
const HICKORY: usize = 1;

/// Medians over the rounds, and each server's CPU beside that of others, round by round.
pub(crate) fn table(servers: &[Server], rounds: &[Vec<Round>]) {
    println!(
        "| server (one core) | CPU µs/query | user | QPS | answer, octets | lost | ÷ echo | ÷ hickory-server | 20k qps: p50, p99 µs | 50k qps | TCP, CPU µs/query | PSS, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (server, own) in servers.iter().zip(rounds) {
        let of = |field: fn(&Round) -> f64| median(own.iter().map(field).collect());
        let paced = |pace: usize| {
            let [p50, p99] = [0, 1].map(|i| median(own.iter().map(|r| r.paced[pace][i]).collect()));
            format!("{p50:.0}, {p99:.0}")
        };
        let tcp: Vec<f64> = own.iter().filter_map(|round| round.tcp).collect();
        let tcp = if tcp.is_empty() {
            String::new()
        } else {
            format!("{:.2}", median(tcp))
        };
        println!(
            "| {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.4} % | {} | {} | {} | {} | {tcp} | {:.1} |",
            server.name,
            of(|r| r.udp.cpu),
            of(|r| r.udp.user),
            of(|r| r.udp.qps),
            of(|r| r.udp.size),
            of(|r| r.udp.lost) * 100.0,
            beside(own, &rounds[ECHO]),
            beside(own, &rounds[HICKORY]),
            paced(0),
            paced(1),
            of(|r| r.memory),
        );
    }
    // Ours, with kubeadm's Corefile, beside each.
    let ours = &rounds[HICKORY + 1];
    for (server, others) in servers.iter().zip(rounds) {
        println!(
            "{} ÷ {}: {}",
            servers[HICKORY + 1].name,
            server.name,
            beside(ours, others)
        );
    }
}

/// The ratio of CPU per query, round by round: its median, least and most.
fn beside(ours: &[Round], theirs: &[Round]) -> String {
    let pairs = ours.iter().zip(theirs);
    let ratios: Vec<f64> = pairs.map(|(a, b)| a.udp.cpu / b.udp.cpu).collect();
    let [least, most] = [0.0, 1.0].map(|share| percentile(&ratios, share));
    format!("{:.3} ({least:.3}..{most:.3})", median(ratios))
}
