/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages: who changes a file, who takes snapshots of it, and what private mappings
 * show meanwhile. See README.rst.
 *
 * Modelled are Change::settle(), settle_hole(), discard() and give(), Snapshots::keep()
 * and preserve(), take(), protect() and release() of rust/fs/snapshots.rs;
 * page_mkwrite(), Private::fault() and Private::map_pages() of rust/fs/mmap.rs;
 * grab(), write_page(), set_size() and punch() of rust/fs/file.rs; and of the
 * kernel what they stand on: page cache, page tables, pins. Each snapshot covers the
 * whole file; for what they lose see coverage.pml.
 *
 * Which processes there are is said with macros, see the end of the file.
 */

#ifndef NP
#define NP	1	/* pages */
#endif
#ifndef NM
#define NM	2	/* mappings, each with a snapshot of its own */
#endif
#ifndef NF
#define NF	(NP + NP * NM + 2)	/* folios */
#endif
#ifndef WRITES
#define WRITES	0	/* calls of the writer */
#endif
#ifndef STORES
#define STORES	0	/* stores of the storer */
#endif
#ifndef CHANGES
#define CHANGES	0	/* pairs of changes of the changer */
#endif
#ifndef ACCESSES
#define ACCESSES 1	/* of each user of a mapping */
#endif
#ifndef FAILURES
#define FAILURES 0	/* copies for which there is no space */
#endif
#define NE	(NM + 1)	/* epochs */
#define BIT(p)	(1 << (p))

/* What else can be in the place of a folio: */
#define NONE	255
#define ANON	254	/* a private copy */
#define ZERO	253	/* a page of zeros */
#define HOLE	252	/* a version without a page */

/* Folios. A reference is one that nothing else here stands for: a pin, or that of a function. */
byte val[NF];
byte stamp[NF];
bool locked[NF];
byte refs[NF];

/* The file: its page cache, the marks in it (mkw), its size in pages. */
byte live[NP];
byte mkw;
byte size = NP;
/* Contents are counted up. */
byte gen[NP];

/* Page tables: those of each private mapping, of which parts may be left in a TLB, and of a shared one. */
byte pt[NM * NP];
byte tlb[NM * NP];
byte spt[NP];

/* Locks: S, invalidate_lock, mmap_lock of who maps and writes, and the readers of the store's lock. */
byte s_readers;
bool s_writer;
bool inv_writer;
byte inv_readers;
bool mm_writer;
byte mm_readers;
byte store_readers;
#ifdef TWO_WRITERS
bool i_rwsem;
#endif

/* Snapshots, and the store: versions of page p with the newest epoch hi, see VER(). */
byte epoch = 1;
bool modified;
byte newest;
bool taken[NM];
bool dying[NM];
byte at[NM];
byte eof[NM];
#define NVER	(NP * NE)
#define VER(p, hi)	((p) * NE + (hi) - 1)
byte page[NVER];
byte lo[NVER];

/* What only the properties know: */
byte want[NM * NP];
bool mapped[NM];
byte eager;		/* pages of the snapshot that is being taken that have their bytes */
byte own[NM];		/* pages with a private copy */
byte pin_read[NM];	/* the folio that is pinned through the mapping of page 0 */
byte given;		/* pages that were taken out of the file */
byte gone;		/* mappings that were and are no more */

byte failures = FAILURES;

hidden byte i, j, k, n, w;

/* w = whether folio f is used by anybody. */
#define USED(f)						\
	w = refs[f] || locked[f];			\
	j = 0;						\
	do						\
	:: j < NP -> w = w || live[j] == f || spt[j] == f; j++	\
	:: else -> break				\
	od;						\
	j = 0;						\
	do						\
	:: j < NVER -> w = w || page[j] == f; j++	\
	:: else -> break				\
	od;						\
	j = 0;						\
	do						\
	:: j < NM * NP -> w = w || pt[j] == f || tlb[j] == f; j++	\
	:: else -> break				\
	od

/* What nobody uses is free, and free folios are alike. */
#define TIDY						\
	i = 0;						\
	do						\
	:: i < NF ->					\
		USED(i);				\
		if					\
		:: !w -> val[i] = 0; stamp[i] = 0	\
		:: else					\
		fi;					\
		i++					\
	:: else -> break				\
	od;						\
	w = 0

/* f = a free folio, with a reference. */
#define ALLOC(f)					\
	i = 0;						\
	do						\
	:: i < NF ->					\
		USED(i);				\
		if					\
		:: !w -> break				\
		:: else -> i++				\
		fi					\
	:: else -> break				\
	od;						\
	w = 0;						\
	assert(i < NF);					\
	f = i;						\
	refs[f] = 1

#define VAL(f)	((f) == ZERO || (f) == HOLE || (f) == NONE -> 0 : val[f])

/* P1: no page table, TLB or pin shows other bytes than those of the snapshot. P6: a private copy stays. */
#define CHECK						\
	i = 0;						\
	do						\
	:: i < NM * NP ->				\
		if					\
		:: mapped[i / NP] ->			\
			assert(pt[i] == NONE || pt[i] == ANON || VAL(pt[i]) == want[i]);	\
			assert(tlb[i] == NONE || VAL(tlb[i]) == want[i]);	\
			assert(!(own[i / NP] & BIT(i % NP)) || pt[i] == ANON);	\
			assert(pin_read[i / NP] == NONE || i % NP ||	\
			       VAL(pin_read[i / NP]) == want[i])	\
		:: else					\
		fi;					\
		i++					\
	:: else -> break				\
	od;						\
	i = 0

/* The file as it is. */
#define CONTENT(p)	((p) < size && live[p] != NONE -> val[live[p]] : 0)

/*
 * The store
 */

/* n = Store::settled() */
#define SETTLED(p)					\
	n = NE;						\
	do						\
	:: n > 0 && page[VER(p, n)] == NONE -> n--	\
	:: else -> break				\
	od

/* w = whether somebody needs page p, whose stamp is st; l = since when. Store::claim() */
#define CLAIM(p, st)					\
	SETTLED(p);					\
	l = ((st) > n -> (st) : n);			\
	j = 0;						\
	w = 0;						\
	do						\
	:: j < NM -> w = w || (taken[j] && !dying[j] && at[j] > l && (p) < eof[j]); j++	\
	:: else -> break				\
	od

/* Store::file() */
#define FILE(p, what)					\
	assert(page[VER(p, epoch)] == NONE);		\
	page[VER(p, epoch)] = what;			\
	lo[VER(p, epoch)] = l

/* n = what snapshot m has of page p, or NONE. Store::lookup() */
#define LOOKUP(m, p)					\
	k = at[m];					\
	do						\
	:: k <= NE && page[VER(p, k)] == NONE -> k++	\
	:: else -> break				\
	od;						\
	n = NONE;					\
	if						\
	:: k <= NE && lo[VER(p, k)] < at[m] -> n = page[VER(p, k)]	\
	:: else						\
	fi

/* w = whether it has any of all. Store::any() */
#define ANY(m)						\
	i = 0;						\
	w = 0;						\
	do						\
	:: i < NP -> LOOKUP(m, i); w = w || n != NONE; i++	\
	:: else -> break				\
	od

#define NEWEST						\
	newest = 0;					\
	i = 0;						\
	do						\
	:: i < NM ->					\
		if					\
		:: taken[i] && !dying[i] && at[i] > newest -> newest = at[i]	\
		:: else					\
		fi;					\
		i++					\
	:: else -> break				\
	od;						\
	i = 0

/*
 * What broken variants are made of, beside #ifdef
 */

#ifdef GIVE_ALL
#define GIVE_PINNED	&& false
#else
#define GIVE_PINNED
#endif

#ifdef NO_EAGER
#define CLEAR_PINNED	|| true
#else
#define CLEAR_PINNED
#endif

#if CHANGES > 0
/* P3: page 0 is always changed before page 1. */
#define ORDERED	assert(want[m * NP] == want[m * NP + 1] || want[m * NP] == want[m * NP + 1] + 1)
#else
#define ORDERED	skip
#endif

#ifdef AROUND_UNASKED
#define AROUND_ALL	|| true
#else
#define AROUND_ALL
#endif

#ifdef REPLACE_ALL
#define REPLACE_IF(p)	true
#elif defined(REPLACE_NONE)
#define REPLACE_IF(p)	false
#else
#define REPLACE_IF(p)	!(mkw & BIT(p))
#endif

/* Whether the page itself is kept, where it is mapped: nobody but snapshots has mapped it. */
#ifdef HANDOVER
#define HAND_OVER	rep
#else
#define HAND_OVER	false
#endif

#if defined(FILE_LAST) || defined(FILE_UNLOCKED)
#define FILE_NOW	&& false
#else
#define FILE_NOW
#endif

#ifdef SKIP_UNMAPPED
#define UNMAP_IF(p)	MAPPED(p)
#elif defined(NO_UNMAP) || defined(UNMAP_LAST)
#define UNMAP_IF(p)	false
#else
#define UNMAP_IF(p)	true
#endif

#ifdef EVEN_COWS
#define KEEPS(q)	false
#else
#define KEEPS(q)	(q) == ANON
#endif

/*
 * The kernel
 */

/* unmap_mapping_pages() of one page, from one mapping after the other */
inline unmap(p)
{
	u = 0;
	do
	:: u < NM ->
		d_step {
			if
			:: KEEPS(pt[u * NP + p])
			:: else -> pt[u * NP + p] = NONE
			fi;
			tlb[u * NP + p] = NONE;
			CHECK;
			u++
		}
	:: else -> break
	od;
	u = 0;
	spt[p] = NONE
}

/* f = the page p of the file, referenced and locked, or NONE. filemap_lock_folio() */
inline filemap_lock(p)
{
	f = NONE;
	do
	:: f == NONE && live[p] != NONE ->
		d_step { f = live[p]; refs[f]++ }
	:: f == NONE && live[p] == NONE -> break
	:: f != NONE ->
		atomic { !locked[f] -> locked[f] = true };
		if
		:: live[p] == f -> break
		:: else -> put()
		fi
	od
}

/* Unlocks f and drops the reference. */
inline put()
{
	d_step {
		locked[f] = false;
		refs[f]--;
		f = NONE;
		TIDY
	}
}

inline s_read()
{
	atomic { !s_writer -> s_readers++ };
	if
	:: !modified -> modified = true
	:: else
	fi
}

/*
 * Changing a page
 */

/* Folio::is_mapped(), which knows nothing of a TLB. */
#if NM == 1
#define MAPPED(p)	(pt[p] == f || spt[p] == f)
#elif NM == 2
#define MAPPED(p)	(pt[p] == f || pt[NP + (p)] == f || spt[p] == f)
#else
#define MAPPED(p)	(pt[p] == f || pt[NP + (p)] == f || pt[2 * NP + (p)] == f || spt[p] == f)
#endif

/*
 * Keeps f, the locked page p with the stamp st, for who needs it: Snapshots::keep(). As a copy, or, if rep, itself where it
 * has other users than us; then f is the folio in its place. If may_fail, ok says whether it worked.
 */
inline keep(p, ours, rep, may_fail)
{
	d_step { CLAIM(p, st); c = w; ok = true };
	if
	:: !c
	:: else ->
		if
		:: UNMAP_IF(p) && !(HAND_OVER) -> unmap(p)
		:: else
		fi;
		if
		:: may_fail && failures > 0 -> failures--; ok = false; c = 0
		:: true ->
			d_step {
				/* has_other_users() */
				c = ((HAND_OVER) || (rep && refs[f] > (ours) FILE_NOW) -> 2 : 1);
				ALLOC(g);
				val[g] = val[f]
			};
#if !defined(FILE_LAST) && !defined(FILE_UNLOCKED)
			file_kept(p)
#endif
		fi
	fi
}

/* The second half of preserve() and of keep_or_replace(): g is the new folio, c says what for. */
inline file_kept(p)
{
	atomic {
		store_readers == 0 ->
		d_step {
			CLAIM(p, st);
			if
			:: w && c == 2 -> FILE(p, f)
			:: w && c != 2 -> FILE(p, g); refs[g]--
			:: else -> refs[g]--; c = 0
			fi;
			TIDY
		}
	};
	if
	:: c == 2 ->
		/* The new folio has our reference. */
		d_step {
			live[p] = g;
			locked[g] = true;
			locked[f] = false;
			refs[f]--;
			f = g;
			TIDY
		}
	:: else
	fi;
	d_step { g = NONE; c = 0; l = 0 }
}

/* Change::settle() of f, the locked page p. */
inline settle(p, ours, may_fail)
{
	d_step { ok = true; st = stamp[f] };
	if
	:: newest != 0 && st != epoch && newest <= st -> stamp[f] = epoch
	:: newest != 0 && st != epoch && newest > st ->
#ifdef STAMP_FIRST
		stamp[f] = epoch;
#endif
		keep(p, ours, REPLACE_IF(p), may_fail);
		if
		:: ok -> stamp[f] = epoch
		:: else
		fi
	:: else
	fi;
#if !defined(FILE_LAST) && !defined(FILE_UNLOCKED)
	st = 0
#endif
}

/* The change itself. */
inline change(p)
{
	d_step { gen[p]++; val[f] = gen[p]; CHECK };
#ifdef FILE_LAST
	if
	:: c -> file_kept(p)
	:: else
	fi;
#endif
#ifdef UNMAP_LAST
	unmap(p);
#endif
	skip
}

/*
 * Who calls write(), truncate() and fallocate(); i_rwsem lets one after the other.
 */

#define LOCALS						\
	byte f = NONE, g = NONE, c, l, st, u;		\
	bool ok

/* One page of a write(): grab() and write_page(). */
inline write_page(p)
{
	ok = false;
	do
	:: filemap_lock(p);
	   if
	   :: f != NONE -> settle(p, 1, true); break
	   :: else ->
		/* filemap_add_folio() */
		d_step {
			if
			:: live[p] == NONE ->
				ALLOC(f);
				locked[f] = true;
				live[p] = f
			:: else
			fi
		};
		if
		:: f != NONE ->
			/* settle_hole() */
			d_step { CLAIM(p, 0); c = w };
			if
			:: c ->
				atomic {
					store_readers == 0 ->
					d_step {
						CLAIM(p, 0);
						if
						:: w -> FILE(p, HOLE)
						:: else
						fi;
						l = 0
					}
				}
			:: else
			fi;
			d_step { c = 0; ok = true; stamp[f] = (newest -> epoch : 0) };
			break
		:: else
		fi
	   fi
	od;
	if
	:: ok ->
		change(p);
		if
		:: size <= p -> size = p + 1
		:: else
		fi
	:: else
	fi;
	put();
#ifdef FILE_UNLOCKED
	if
	:: c -> file_kept(p)
	:: else
	fi;
#endif
	st = 0
}

inline write(p)
{
	/* The source is faulted in. */
	atomic { !mm_writer -> mm_readers++ };
	mm_readers--;
#ifdef S_NOT_HELD
	s_read();
	s_readers--;
	write_page(p)
#else
	s_read();
#ifdef FAULT_UNDER_S
	atomic { !mm_writer -> mm_readers++ };
	mm_readers--;
#endif
	write_page(p);
	s_readers--
#endif
}

/* Change::discard() of page p, if there is one. */
inline discard(p)
{
	filemap_lock(p);
	if
	:: f != NONE ->
		if
		:: (mkw & BIT(p)) || MAPPED(p) -> unmap(p)
		:: else
		fi;
		st = stamp[f];
		if
#ifndef NO_GIVE
		:: newest > st ->
			if
			:: (mkw & BIT(p)) && refs[f] > 1 GIVE_PINNED -> keep(p, 1, false, false)
			:: else ->
				d_step { CLAIM(p, st); c = w };
				if
				:: c ->
					atomic {
						store_readers == 0 ->
						d_step {
							CLAIM(p, st);
							if
							:: w -> FILE(p, f)
							:: else
							fi;
							l = 0
						}
					}
				:: else
				fi;
				c = 0
			fi;
#ifdef GIVE_UNLOCKED
			put();
			filemap_lock(p)
#endif
#endif
		:: else
		fi;
		/* generic_error_remove_folio() */
		skip;
		d_step {
			given = given | BIT(p);
			live[p] = NONE;
			mkw = mkw & ~BIT(p);
			stamp[f] = 0;
			st = 0
		};
		put()
	:: else
	fi
}

/* unmap_mapping_pages() before the pages go, for which nobody depends on it */
inline truncate(p)
{
	atomic { !inv_writer && inv_readers == 0 -> inv_writer = true };
	s_read();
	size = p;
	q = p;
	do
	:: q < NP -> discard(q); q++
	:: else -> break
	od;
	q = 0;
	s_readers--;
	inv_writer = false
}

inline punch(p)
{
	atomic { !inv_writer && inv_readers == 0 -> inv_writer = true };
	s_read();
	discard(p);
	s_readers--;
	inv_writer = false
}

#if WRITES > 0
proctype writer()
{
	LOCALS;
	byte q, left = WRITES;

	do
	:: left > 0 -> left--;
		if
#ifndef NO_WRITE
		:: true -> write(0)
#if NP > 1
		:: true -> write(1)
#endif
#endif
#ifdef TRUNCATE
		:: true -> truncate(0)
#if NP > 1
		:: true -> truncate(1)
#endif
#endif
#ifdef PUNCH
		:: true -> punch(0)
#endif
		fi
	:: break
	od
}
#endif

/*
 * Who stores through a shared mapping.
 */

/* Until page p is mapped writable, or past the end of the file. */
inline make_writable(p)
{
	do
	:: spt[p] != NONE -> break
	:: spt[p] == NONE && p >= size -> break
	:: else ->
		/* filemap_fault() */
		h = NONE;
		atomic {
			live[p] != NONE || !inv_writer ->
			d_step {
				if
				:: live[p] != NONE -> h = live[p]; refs[h]++
				:: live[p] == NONE && p < size ->
					ALLOC(h);
					live[p] = h
				:: else
				fi
			}
		};
		if
		:: h != NONE ->
			/* page_mkwrite() */
			s_read();
			atomic { !locked[h] -> d_step { locked[h] = true; refs[h]++; f = h } };
			if
			:: live[p] == f && p < size ->
				settle(p, 2, true);
				if
				:: ok && f == h ->
#ifdef MARK_LATE
					s_readers--;
					spt[p] = f;
					put();
					mkw = mkw | BIT(p)
#else
					mkw = mkw | BIT(p);
					s_readers--;
					/* The core maps it, while it is locked. */
#ifdef UNLOCKED_MKWRITE
					put();
					spt[p] = h
#else
					spt[p] = f;
					put()
#endif
#endif
				:: else ->
					s_readers--;
					put()
				fi
			:: else ->
				s_readers--;
				put()
			fi;
			d_step { refs[h]--; h = NONE; TIDY };
			if
			:: !ok -> break
			:: else
			fi
		:: else
		fi
	od
}

#define store(p, to)	gen[p]++; val[to] = gen[p]; CHECK

/* Until it is done, or SIGBUS. */
inline store_once(p)
{
	ok = true;
	do
	:: true ->
		make_writable(p);
		if
		:: d_step { spt[p] != NONE -> store(p, spt[p]) };
		   break
#ifdef PINS
		:: /* get_user_pages(): reference and page table are of one moment. */
		   d_step { spt[p] != NONE -> pin = spt[p]; refs[pin]++ };
		   d_step {
			/* What is stored belongs to the file, unless that page has gone from it. */
			assert(live[p] == pin || given & BIT(p));
			store(p, pin)
		   };
		   d_step { refs[pin]--; pin = NONE; TIDY };
		   break
#endif
		:: spt[p] == NONE && (!ok || p >= size) -> break
		:: spt[p] == NONE && ok && p < size
		fi
	od
}

#if STORES > 0
proctype storer()
{
	LOCALS;
	byte h = NONE, pin = NONE, left = STORES;

	do
	:: left > 0 -> left--;
		if
		:: true -> store_once(0)
#if NP > 1
		:: true -> store_once(1)
#endif
		fi
	:: break
	od
}
#endif

/*
 * Who maps privately.
 */

/* Snapshots::protect() of all pages. */
inline protect(copy)
{
	q = 0;
	do
	:: q < size && (mkw & BIT(q)) ->
		filemap_lock(q);
		if
		:: f != NONE ->
			unmap(q);
			if
			:: refs[f] == 1 CLEAR_PINNED -> mkw = mkw & ~BIT(q)
			:: else ->
				if
				:: copy ->
					st = stamp[f];
					keep(q, 1, false, true);
					d_step {
						st = 0;
						if
						:: ok ->
							/* It has the bytes of when it was copied. */
							LOOKUP(m, q);
							want[m * NP + q] = VAL(n);
							eager = eager | BIT(q);
							stamp[f] = at[m];
							modified = true
						:: else -> failed = true
						fi
					}
				:: else
				fi
			fi;
			put()
		:: else
		fi;
		q = (failed -> size : q + 1)
	:: q < size && !(mkw & BIT(q)) -> q++
	:: q >= size -> break
	od;
	q = 0
}

/* snapshots::take() */
inline take()
{
	atomic { !mm_writer && mm_readers == 0 -> mm_writer = true };
	atomic { !s_writer && s_readers == 0 -> s_writer = true };
	d_step {
		if
		:: modified -> epoch++; modified = false
		:: else
		fi;
		taken[m] = true;
		at[m] = epoch;
		eof[m] = size;
		newest = epoch
	};
#ifdef S_DROPPED
	s_writer = false;
#endif
#ifndef NO_PROTECT
#ifndef ONE_PASS
	protect(false);
#endif
	protect(true);
#endif
	skip;
	d_step {
		i = 0;
		do
		:: i < NP && failed ->
			/* There will be no mapping. */
			want[m * NP + i] = 0;
			i++
		:: i < NP && !failed ->
			if
			:: !(eager & BIT(i)) -> want[m * NP + i] = CONTENT(i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		eager = 0;
		mapped[m] = !failed;
		if
		:: failed -> modified = true
		:: else -> ORDERED
		fi;
#ifndef S_DROPPED
		s_writer = false
#endif
	};
	mm_writer = false
}

/* Maps what was found for page p, n: a folio with a reference, ZERO or HOLE. */
#define INSTALL(p, what)				\
	if						\
	:: pt[m * NP + p] == NONE -> pt[m * NP + p] = (what == HOLE -> ZERO : what)	\
	:: else						\
	fi;						\
	CHECK

/* A fault: Private::fault() for page p. */
inline fault(p)
{
	do
	:: pt[m * NP + p] != NONE || p >= eof[m] -> break
	:: else ->
		d_step {
			LOOKUP(m, p);
			h = n;
			if
			:: h < NF -> refs[h]++
			:: else
			fi
		};
		if
		:: h != NONE -> serve(p)
		:: h == NONE && live[p] == NONE ->
			/* A hole, or one just made. */
#ifndef NO_SECOND_LOOK
			d_step {
				LOOKUP(m, p);
				h = n;
				if
				:: h < NF -> refs[h]++
				:: h == NONE -> h = ZERO
				:: else
				fi
			};
#else
			h = ZERO;
#endif
			serve(p)
		:: h == NONE && live[p] != NONE ->
			filemap_fault(p)
		fi
	od
}

inline serve(p)
{
	d_step {
		INSTALL(p, h);
		if
		:: h < NF -> refs[h]--
		:: else
		fi;
		h = NONE;
		TIDY
	}
}

inline filemap_fault(p)
{
	/* f, locked: the live page. NONE: SIGBUS. */
	do
	:: f == NONE && p >= size -> break
	:: f == NONE && p < size ->
		atomic {
			live[p] != NONE || !inv_writer ->
			d_step {
				if
				:: live[p] != NONE -> f = live[p]; refs[f]++
				:: live[p] == NONE && p < size -> ALLOC(f); live[p] = f
				:: else
				fi
			}
		}
	:: f != NONE ->
		atomic { !locked[f] -> locked[f] = true };
		if
		:: live[p] == f && p < size -> break
		:: else -> put()
		fi
	od;
	if
	:: f != NONE ->
#ifndef NO_RECHECK
		d_step {
			LOOKUP(m, p);
			h = n;
			if
			:: h < NF -> refs[h]++
			:: else
			fi
		};
#endif
		if
		:: h == NONE ->
#ifdef INSTALL_UNLOCKED
			locked[f] = false;
			d_step { INSTALL(p, f); refs[f]--; f = NONE; TIDY }
#else
			d_step { INSTALL(p, f); locked[f] = false; refs[f]--; f = NONE; TIDY }
#endif
		:: else ->
			put();
			serve(p)
		fi
	:: else ->
		/* Who made the file shorter has filed the page once the lock is free. */
#ifndef NO_INVALIDATE
		atomic { !inv_writer -> inv_readers++ };
#endif
		d_step {
			LOOKUP(m, p);
			h = n;
			if
			:: h < NF -> refs[h]++
			:: else
			fi
		};
		if
		:: h != NONE -> serve(p)
		:: h == NONE && (p >= size || live[p] == NONE) ->
			h = ZERO;
			serve(p)
		:: else
		fi;
#ifndef NO_INVALIDATE
		inv_readers--
#endif
	fi
}

/* Private::map_pages(): fault-around. */
inline fault_around()
{
	d_step {
		ANY(m);
		ok = !w;
#ifndef NO_STORE_LOCK
		if
		:: ok -> store_readers++
		:: else
		fi
#endif
	};
	if
	:: ok AROUND_ALL ->
		q = 0;
		do
		:: q < eof[m] ->
			/* filemap_map_pages(): what can be locked at once */
			d_step {
				if
				:: q < size && live[q] != NONE && !locked[live[q]] ->
					n = live[q];
					INSTALL(q, n)
				:: else
				fi;
				q++
			}
		:: else -> break
		od;
		q = 0
	:: else
	fi;
#ifndef NO_STORE_LOCK
	if
	:: ok -> store_readers--
	:: else
	fi;
#endif
	ok = false
}

/* snapshots::release(), after the page tables are gone. */
inline release()
{
	d_step {
		mapped[m] = false;
		i = 0;
		do
		:: i < NP -> pt[m * NP + i] = NONE; tlb[m * NP + i] = NONE; i++
		:: else -> break
		od;
		own[m] = 0;
		TIDY
	};
	dying[m] = true;
	/* drain(), in batches */
	do
	:: atomic {
		store_readers == 0 ->
		d_step {
			u = 0;
			do
			:: u < NVER ->
				if
				:: page[u] != NONE ->
					j = 0;
					w = 0;
					do
					:: j < NM ->
						w = w || (taken[j] && !dying[j] && at[j] > lo[u] &&
							  at[j] <= u % NE + 1 && u / NE < eof[j]);
						j++
					:: else -> break
					od;
					if
					:: !w -> break
					:: else
					fi
				:: else
				fi;
				u++
			:: else -> break
			od;
			if
			:: u < NVER ->
				page[u] = NONE;
				lo[u] = 0
			:: else ->
				taken[m] = false;
				dying[m] = false;
				eof[m] = 0;
				at[m] = 0
			fi;
			NEWEST;
			TIDY
		}
	   };
	   if
	   :: u == NVER -> break
	   :: else
	   fi
	od;
	u = 0
}

proctype user(byte m)
{
	LOCALS;
	byte h = NONE, q, left = ACCESSES;
	bool failed;

	take();
	do
	:: left > 0 && !failed -> left--;
		if
		:: true -> fault(0)
#if NP > 1
		:: true -> fault(1)
#endif
#ifdef AROUND
		:: true -> fault_around()
#endif
#ifdef COWS
		:: pt[m * NP] != NONE && pt[m * NP] != ANON ->
			/* wp_page_copy(), which locks no folio */
			d_step { h = pt[m * NP]; c = (VAL(h)) };
			d_step {
				if
				:: h != NONE && pt[m * NP] == h ->
					assert(c == want[m * NP]);
					pt[m * NP] = ANON;
					own[m] = own[m] | 1;
					TIDY
				:: else
				fi;
				h = NONE; c = 0
			}
#endif
#ifdef ZAPS
		:: pt[m * NP] < NF ->
			/* MADV_DONTNEED: from the page table, then from the TLB */
			d_step {
				if
				:: pt[m * NP] < NF -> tlb[m * NP] = pt[m * NP]; pt[m * NP] = NONE
				:: else
				fi
			};
			d_step { tlb[m * NP] = NONE; TIDY }
#endif
#ifdef READ_PINS
		:: pin_read[m] == NONE && pt[m * NP] < NF ->
			d_step {
				if
				:: pt[m * NP] < NF ->
					pin_read[m] = pt[m * NP];
					refs[pin_read[m]]++
				:: else
				fi
			}
#endif
		fi
	:: break
	od;
#ifdef READ_PINS
	skip;
	d_step {
		if
		:: pin_read[m] != NONE -> refs[pin_read[m]]--; pin_read[m] = NONE; TIDY
		:: else
		fi
	};
#endif
	release();
	d_step {
		gone++;
		/* R1: after the last one there is nothing left. */
		if
		:: gone == NM ->
			i = 0;
			do
			:: i < NVER -> assert(page[i] == NONE); i++
			:: else -> break
			od
		:: else
		fi
	}
}

#if CHANGES > 0
/* Who makes one change after the other, each in one of all ways. */
proctype changer()
{
	LOCALS;
	byte q, h = NONE, pin = NONE, left = CHANGES;

	do
	:: left > 0 -> left--;
		if
		:: true -> write(0)
		:: true -> store_once(0)
		fi;
		if
		:: true -> write(1)
		:: true -> store_once(1)
		fi
	:: else -> break
	od
}
#endif

init {
	byte m;

	d_step {
		i = 0;
		do
		:: i < NP -> live[i] = i; gen[i] = 1; val[i] = 1; spt[i] = NONE; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NVER -> page[i] = NONE; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NM * NP -> pt[i] = NONE; tlb[i] = NONE; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NM -> pin_read[i] = NONE; i++
		:: else -> break
		od
	};
	atomic {
#if WRITES > 0
		run writer();
#endif
#if STORES > 0
		run storer();
#endif
#if CHANGES > 0
		run changer();
#endif
		do
		:: m < NM -> run user(m); m++
		:: else -> break
		od
	}
}
