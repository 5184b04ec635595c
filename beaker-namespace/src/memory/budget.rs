//! One sum of weights for all shards of a namespace.
//
// The rules:
// 1. Weight is taken from the budget before an entry is inserted and given back after it is
//    removed, so the entries never weigh more than the limit, at no moment.
// 2. A thread holds what it took in a `Credit` until an entry uses it; whatever is left goes back
//    when the credit is dropped, on a panic too.
// 3. An eviction pays into the evicting thread's credit, not into the budget: in a full namespace
//    an insert and its eviction cancel out, and nobody else takes what was freed for it.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// What entries and credits hold.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn credit(&self) -> Credit<'_> {
        Credit { budget: self, held: 0 }
    }

    fn try_take(&self, weight: u64) -> bool {
        // Relaxed: the sum publishes nothing; entries are published by the shards' locks.
        let mut used = self.used.load(Ordering::Relaxed);
        while let Some(sum) = used.checked_add(weight).filter(|&sum| sum <= self.limit) {
            match self.used.compare_exchange_weak(used, sum, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => used = now,
            }
        }
        false
    }

    pub(super) fn give_back(&self, weight: u64) {
        if weight > 0 {
            self.used.fetch_sub(weight, Ordering::Relaxed);
        }
    }
}

/// Weight taken from a budget and not yet used by an entry.
#[derive(Debug)]
pub(super) struct Credit<'a> {
    budget: &'a Budget,
    held: u64,
}

impl Credit<'_> {
    /// Sees to it that at least `weight` is held, from the budget if need be.
    pub(super) fn top_up(&mut self, weight: u64) -> bool {
        let enough = self.held >= weight || self.budget.try_take(weight.saturating_sub(self.held));
        self.held = if enough { self.held.max(weight) } else { self.held };
        enough
    }

    /// Takes over the weight of an entry that was removed.
    pub(super) fn deposit(&mut self, weight: u64) {
        self.held += weight;
    }

    /// Hands `weight` over to an entry that was inserted.
    pub(super) fn spend(&mut self, weight: u64) {
        self.held = self.held.saturating_sub(weight);
    }
}

impl Drop for Credit<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_passed() {
        let budget = Budget::new(10);
        let (mut a, mut b) = (budget.credit(), budget.credit());
        assert!(a.top_up(6));
        assert!(!b.top_up(5));
        assert!(b.top_up(4));
        assert_eq!(budget.used(), 10);
        assert!(!a.top_up(u64::MAX), "a sum that overflows is too much");
    }

    #[test]
    fn an_unused_credit_goes_back() {
        let budget = Budget::new(10);
        let mut credit = budget.credit();
        assert!(credit.top_up(6));
        credit.spend(4);
        drop(credit);
        assert_eq!(budget.used(), 4, "what the entry uses stays taken");
    }
}
