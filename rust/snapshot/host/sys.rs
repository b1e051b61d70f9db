// SPDX-License-Identifier: GPL-2.0

//! The interface of `../sys.rs` over the standard library.

use std::{
    cell::Cell,
    collections::BTreeMap,
    marker::PhantomData,
    ops::Bound::{
        Excluded,
        Included,
        Unbounded, //
    },
};

std::thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// How many entries of maps this thread has looked at.
pub(crate) fn calls() -> usize {
    CALLS.get()
}

fn count_call() {
    CALLS.set(CALLS.get() + 1);
}

/// From now on memory is short when a list of this thread has `limit` entries.
pub(crate) fn set_limit(limit: usize) {
    LIMIT.set(limit);
}

pub(crate) struct Map<K, V>(BTreeMap<K, V>);

pub(crate) struct Node<K, V>(K, V);

impl<K, V> Node<K, V> {
    // As in the kernel's tree.
    #[allow(clippy::wrong_self_convention)]
    pub(crate) fn to_key_value(self) -> (K, V) {
        (self.0, self.1)
    }
}

pub(crate) struct Slot<K, V>(PhantomData<(K, V)>);

impl<K, V> Slot<K, V> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }

    pub(crate) fn fill(self, key: K, value: V) -> Node<K, V> {
        Node(key, value)
    }
}

impl<K: Ord + Copy, V> Map<K, V> {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        count_call();
        self.0.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        count_call();
        self.0.get_mut(key)
    }

    pub(crate) fn insert(&mut self, node: Node<K, V>) -> Option<Node<K, V>> {
        count_call();
        let key = node.0;
        self.0.insert(node.0, node.1).map(|old| Node(key, old))
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<Node<K, V>> {
        count_call();
        self.0.remove_entry(key).map(|(k, v)| Node(k, v))
    }

    pub(crate) fn at_or_after<R>(&self, key: &K, f: impl FnOnce(&K, &V) -> R) -> Option<R> {
        count_call();
        self.0
            .range((Included(key), Unbounded))
            .next()
            .map(|(k, v)| f(k, v))
    }

    pub(crate) fn before<R>(&self, key: &K, f: impl FnOnce(&K, &V) -> R) -> Option<R> {
        count_call();
        self.0
            .range((Unbounded, Excluded(key)))
            .next_back()
            .map(|(k, v)| f(k, v))
    }

    pub(crate) fn find<R>(&self, mut f: impl FnMut(&K, &V) -> Option<R>) -> Option<R> {
        self.0.iter().find_map(|(k, v)| {
            count_call();
            f(k, v)
        })
    }
}

pub(crate) struct List<T>(Vec<T>);

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, value: T) -> Result<(), ()> {
        if self.0.len() >= LIMIT.get() {
            return Err(());
        }
        self.0.push(value);
        Ok(())
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut()
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.0
    }
}
