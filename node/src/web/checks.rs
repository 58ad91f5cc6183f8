//! The checks behind `/readyz`.

use serde::Serialize;

/// What a failing check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Users must not be sent here.
    Critical,
    /// Something works less well; users are served all the same.
    Degraded,
}

/// A check: whether it is fine, and the value seen.
type Probe = Box<dyn Fn() -> (bool, String) + Send + Sync>;

/// One named check.
pub struct Check {
    id: &'static str,
    severity: Severity,
    want: &'static str,
    hint: &'static str,
    probe: Probe,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Check {
    /// `probe` gives whether it is fine and the value in words. It must not wait.
    #[must_use]
    pub fn new(
        id: &'static str,
        severity: Severity,
        probe: impl Fn() -> (bool, String) + Send + Sync + 'static,
    ) -> Self {
        Self { id, severity, want: "", hint: "", probe: Box::new(probe) }
    }

    /// What the value should be, and what to do if it is not.
    #[must_use]
    pub const fn wants(mut self, want: &'static str, hint: &'static str) -> Self {
        (self.want, self.hint) = (want, hint);
        self
    }

    fn report(&self) -> CheckReport {
        let (ok, value) = (self.probe)();
        let hint = if ok { "" } else { self.hint };
        CheckReport { id: self.id, ok, severity: self.severity, value, want: self.want, hint }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub id: &'static str,
    /// Whether it is fine.
    pub ok: bool,
    /// What it means if it is not.
    pub severity: Severity,
    /// The value seen.
    pub value: String,
    /// What it should be.
    pub want: &'static str,
    /// What to do; empty if all is well.
    pub hint: &'static str,
}

/// All checks together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// No critical check fails.
    pub ready: bool,
    /// Each check.
    pub checks: Vec<CheckReport>,
}

impl Ready {
    pub(super) fn of(checks: &[Check]) -> Self {
        let checks: Vec<CheckReport> = checks.iter().map(Check::report).collect();
        let ready = checks.iter().all(|c| c.ok || c.severity == Severity::Degraded);
        Self { ready, checks }
    }

    /// Only what fails.
    #[must_use]
    pub fn failing(mut self) -> Self {
        self.checks.retain(|c| !c.ok);
        self
    }
}
