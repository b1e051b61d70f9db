// SPDX-License-Identifier: GPL-2.0

//! What the snapshot code needs of the kernel. On the host, `host/sys.rs` takes the place of this file.

use kernel::{
    alloc::Flags,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
};

/// An ordered map whose nodes are allocated outside of the lock that protects it.
pub(crate) struct Map<K, V>(RBTree<K, V>);

/// An entry outside of a map.
pub(crate) type Node<K, V> = RBTreeNode<K, V>;

/// Memory for one node.
pub(crate) struct Slot<K, V>(RBTreeNodeReservation<K, V>);

impl<K, V> Slot<K, V> {
    /// Allocates memory for a node.
    pub(crate) fn new(flags: Flags) -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(flags)?))
    }

    /// Makes a node of it.
    pub(crate) fn fill(self, key: K, value: V) -> Node<K, V> {
        self.0.into_node(key, value)
    }
}

impl<K: Ord + Copy, V> Map<K, V> {
    pub(crate) fn new() -> Self {
        Self(RBTree::new())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Inserts `node`, and returns the one that had its key.
    pub(crate) fn insert(&mut self, node: Node<K, V>) -> Option<Node<K, V>> {
        self.0.insert(node)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<Node<K, V>> {
        self.0.remove_node(key)
    }

    /// Calls `f` with the first entry at or after `key`.
    pub(crate) fn at_or_after<R>(&self, key: &K, f: impl FnOnce(&K, &V) -> R) -> Option<R> {
        let cursor = self.0.cursor_lower_bound(key)?;
        let (k, v) = cursor.current();
        Some(f(k, v))
    }

    /// Calls `f` with the last entry before `key`.
    pub(crate) fn before<R>(&self, key: &K, f: impl FnOnce(&K, &V) -> R) -> Option<R> {
        match self.0.cursor_lower_bound(key) {
            Some(cursor) => {
                let (k, v) = cursor.peek_prev()?;
                Some(f(k, v))
            }
            None => {
                let cursor = self.0.cursor_back()?;
                let (k, v) = cursor.current();
                Some(f(k, v))
            }
        }
    }

    /// Calls `f` with the entries from the first one on until it returns `Some`.
    pub(crate) fn find<R>(&self, mut f: impl FnMut(&K, &V) -> Option<R>) -> Option<R> {
        self.0.iter().find_map(|(k, v)| f(k, v))
    }
}

/// A short list that grows without sleeping.
pub(crate) struct List<T>(KVec<T>);

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self(KVec::new())
    }

    /// Appends `value`. Does not sleep.
    pub(crate) fn push(&mut self, value: T) -> Result {
        self.0.push(value, GFP_ATOMIC | __GFP_NOWARN)?;
        Ok(())
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut()
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.0
    }
}
