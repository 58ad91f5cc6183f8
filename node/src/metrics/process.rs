//! CPU and memory of this process, from `/proc/self`. Elsewhere than on Linux the values stay 0.

use super::float;
use prometheus::{Gauge, Registry};

/// Clock ticks in a second (`sysconf(_SC_CLK_TCK)`), 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;
const PAGE: f64 = 4096.0;

/// Gauges of the process.
#[derive(Debug)]
pub struct Process {
    cpu: Gauge,
    memory: Gauge,
    threads: Gauge,
}

impl Process {
    /// Registers them.
    ///
    /// # Errors
    /// Us: a name is registered already.
    pub fn register(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            cpu: float(r, "process_cpu_seconds_total", "CPU time used, user and system.")?,
            memory: float(r, "process_resident_memory_bytes", "Memory in RAM.")?,
            threads: float(r, "process_threads", "Threads.")?,
        })
    }

    /// Reads them.
    pub fn pull(&self) {
        if let Some([cpu, threads]) = stat(&read("/proc/self/stat")) {
            self.cpu.set(cpu);
            self.threads.set(threads);
        }
        if let Some(pages) = statm(&read("/proc/self/statm")) {
            self.memory.set(pages * PAGE);
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// CPU seconds and threads. The name in brackets may hold spaces and brackets.
fn stat(text: &str) -> Option<[f64; 2]> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok());
    Some([(number(11)? + number(12)?) / TICKS, number(17)?])
}

fn statm(text: &str) -> Option<f64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_at_the_right_fields() {
        let line = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7 0 99";
        assert_eq!(stat(line), Some([3.0, 7.0]));
        assert_eq!(stat("nothing"), None);
        assert_eq!(statm("9 8 7"), Some(8.0));
    }
}
