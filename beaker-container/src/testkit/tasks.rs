//! Stampedes of tasks.

use std::borrow::Borrow;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use beaker_namespace::{Key, ToKey};

use super::{Running, Rush, Source};
use crate::Cache;

impl Source {
    /// [`make`](Self::make) for a task: holds `make` until all callers have come as far as they can.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the call counts as one that has ended.
    pub async fn make_async<T>(&self, make: impl Future<Output = T>) -> T {
        let _running = Running::enter(&self.0);
        poll_fn(|context| self.poll_open(context)).await;
        make.await
    }

    fn poll_open(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.state.lock();
        if state.open {
            return Poll::Ready(());
        }
        state.wakers.push(context.waker().clone());
        Poll::Pending
    }
}

/// [`rush`](super::rush) for tasks: polls the futures of `callers` calls side by side, in the task that
/// awaits this, and holds what goes through [`Source::make_async`] until each of them has come back or
/// waits for another's creation of `key`. It works within any runtime and in none.
///
/// There is no time-out here, as the stampede has no thread of its own: bound it by your runtime's.
///
/// # Cancel safety
///
/// Dropped, all callers' futures are dropped.
///
/// # Panics
///
/// If a caller panics.
///
/// # Examples
///
/// ```
/// use beaker_container::testkit::{memory_cache, rush_async};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let (prices, _clock) = memory_cache::<String, u32>();
/// let cold = rush_async(&prices, "tea", 100, |source| {
///     let prices = prices.clone();
///     async move {
///         let ask_the_shop = || async { source.make_async(async { 3 }).await };
///         prices.get_or_create_async("tea", ask_the_shop).await.expect("memory does not fail")
///     }
/// });
/// let cold = cold.await;
/// assert_eq!((cold.calls, cold.results), (1, vec![3; 100]), "one creation, for all");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn rush_async<K, V, Q, T, F>(
    cache: &Cache<K, V>,
    key: &Q,
    callers: usize,
    call: impl Fn(Source) -> F,
) -> Rush<T>
where
    K: ToKey + Borrow<Q>,
    V: Clone + Send + Sync + 'static,
    Q: ToKey + ?Sized,
    F: Future<Output = T>,
{
    let (key, source): (Key, _) = (key.to_key(), Source::new());
    let mut running: Vec<Pin<Box<F>>> =
        (0..callers).map(|_| Box::pin(call(source.clone()))).collect();
    let mut results = Vec::with_capacity(callers);
    poll_fn(|context| {
        running.retain_mut(|caller| match caller.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                source.finish();
                results.push(result);
                false
            }
        });
        // Whatever a caller comes to it comes to in a poll, so this is the place to look.
        if source.has_settled(callers, cache.waiting(&key)) {
            source.open();
        }
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    source.into_rush(results)
}

#[cfg(test)]
mod tests {
    use super::super::memory_cache;
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_rush_of_tasks_sees_a_stampede_where_there_is_one() {
        // The control: callers that do not go through the cache.
        let (cache, _clock) = memory_cache::<String, u32>();
        let call = |source: Source| async move { source.make_async(async { 1 }).await };
        let rush = block_on(rush_async(&cache, "k", 8, call));
        assert_eq!((rush.calls, rush.at_once, rush.results), (8, 8, vec![1; 8]));
    }

    #[test]
    fn a_cache_makes_a_cold_value_once_for_tasks() {
        let (cache, _clock) = memory_cache::<String, u32>();
        let call = |source: Source| {
            let cache = &cache;
            async move {
                let create = || async { source.make_async(async { 1 }).await };
                cache.get_or_create_async("k", create).await.unwrap()
            }
        };
        let rush = block_on(rush_async(&cache, "k", 32, call));
        assert_eq!((rush.calls, rush.at_once, rush.results), (1, 1, vec![1; 32]));
    }
}
