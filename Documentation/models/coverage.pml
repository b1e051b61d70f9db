/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coverage: who still needs a page, while mappings of its snapshots are unmapped
 * in part, and what becomes of versions then. See README.rst.
 *
 * Modelled are Snapshots::preserve(), refresh(), refresh_all(), trim(), release()
 * and take() of rust/fs/snapshots.rs, and claim(), file(), mark_stale(),
 * begin_refresh(), see(), end_refresh(), drain(), strip(), disown() and pass_on() of
 * rust/snapshot/store.rs. A statement between d_step { and } is what is done with
 * the store's lock held. Page tables and folio locks are in snapmap.pml: here a
 * page is changed by one process, which stands for the holder of its folio lock.
 *
 * A batch of the store's work (BATCH there) is a single snapshot or version.
 */

#ifndef NP
#define NP	2	/* pages */
#endif
#ifndef CHANGES
#define CHANGES	1	/* of each page */
#endif
#ifndef UNMAPS
#define UNMAPS	1	/* of each mapping */
#endif
#define NS	2	/* snapshots */
#define NV	3	/* mappings: 0 and 1 of snapshot 0, 2 of snapshot 1 */
#define NE	2	/* epochs */

#define ALL	((1 << NP) - 1)
#define SNAP(v)	((v) / 2)
#define BIT(p)	(1 << (p))

/* The live file: contents are counted up, one with each change. */
byte content[NP];
byte stamp[NP];
byte epoch = 1;
bool modified;
byte newest = 1;

/* S: how many hold it for reading. It is held for writing in one step. */
byte s_readers;

/* i_mmap: the pages of each mapping. Changes while nobody holds i_mmap_rwsem for reading. */
byte vma[NV];
byte i_mmap_readers;
/* References to the vm_file of each snapshot. */
byte users[NS];
/* Snapshot::split: whether one of its mappings was ever cut. */
bool split[NS];

/* The store: snapshots, newest ones and the same epoch's older ones first. */
bool live[NS];
bool dying[NS];
byte at[NS];
byte cov[NS];
bool stale[NS];
bool seeing[NS];
byte seen[NS];
/* And versions: for page p and the newest epoch hi, see VER(). */
#define NVER	(NP * NE)
#define VER(p, hi)	((p) * NE + (hi) - 1)
bool there[NVER];
byte lo[NVER];
byte kept[NVER];	/* contents */
byte owner[NVER];
bool looked_at[NVER];	/* on the list Live::kept, not Live::head */
bool stripped[NVER];	/* its page was freed, the entry stays */
#define GONE	255	/* what it shows */
byte count;

byte filing;
bool refreshing;	/* the mutex of refresh_all() */

/* What only the properties know: */
byte want[NS * NP];	/* a snapshot's bytes */
byte always[NS];	/* its pages that were mapped without a break */
byte busy;		/* operations under way */

hidden byte i, j, k, n, w;

/* n = what snapshot s sees of page p. */
#define SHOW(s, p)					\
	n = content[p];					\
	k = at[s];					\
	do						\
	:: k <= NE && !there[VER(p, k)] -> k++		\
	:: else -> break				\
	od;						\
	if						\
	:: k <= NE && lo[VER(p, k)] < at[s] ->		\
		n = kept[VER(p, k)]			\
	:: else						\
	fi

/* P1, and I1 as far as it is about contents. */
#define CHECK_SHOWN					\
	i = 0;						\
	do						\
	:: i < NS * NP ->				\
		if					\
		:: live[i / NP] && !dying[i / NP] ->	\
			/* None of its pages counts as lost. */	\
			assert(!(always[i / NP] & BIT(i % NP)) ||	\
			       (cov[i / NP] & BIT(i % NP)));	\
			if				\
			:: cov[i / NP] & BIT(i % NP) ->	\
				SHOW(i / NP, i % NP);	\
				assert(n == want[i])	\
			:: else				\
			fi				\
		:: else					\
		fi;					\
		i++					\
	:: else -> break				\
	od;						\
	i = 0

/* R1: with nothing under way, each page kept is one that a mapping needs; and somebody owns it. */
#define CHECK_KEPT					\
	i = 0;						\
	w = 0;						\
	do						\
	:: i < NVER ->					\
		if					\
		:: there[i] ->				\
			w++;				\
			assert(stripped[i] == (kept[i] == GONE));	\
			assert(live[owner[i]] && at[owner[i]] > lo[i] &&	\
			       at[owner[i]] <= i % NE + 1);	\
			assert(!looked_at[i]);		\
			j = 0;				\
			n = 0;				\
			do				\
			:: j < NV ->			\
				if			\
				:: live[SNAP(j)] && (vma[j] & cov[SNAP(j)] & BIT(i / NE)) &&	\
				   at[SNAP(j)] > lo[i] && at[SNAP(j)] <= i % NE + 1 ->	\
					n = 1		\
				:: else			\
				fi;			\
				j++			\
			:: else -> break		\
			od;				\
			/* Who needs nothing has nothing; an empty entry is no page. */	\
			assert(n != stripped[i])	\
		:: else					\
		fi;					\
		i++					\
	:: else -> break				\
	od;						\
	assert(w == count)

#define DONE						\
	busy--;						\
	if						\
	:: busy == 0 -> CHECK_KEPT			\
	:: else						\
	fi

#define ANY_STALE					\
	((live[0] && !dying[0] && stale[0]) || (live[1] && !dying[1] && stale[1]))

/* n = Store::settled(). */
#define SETTLED(p)					\
	n = NE;						\
	do						\
	:: n > 0 && !there[VER(p, n)] -> n--		\
	:: else -> break				\
	od

#define NOBODY	0
#define BY	1
#define STALE	2

/* c, o = Store::claim(page, the newer of its stamp and Store::settled()), l = that. */
#define CLAIM(p)					\
	SETTLED(p);					\
	l = (stamp[p] > n -> stamp[p] : n);		\
	c = NOBODY;					\
	w = 0;						\
	j = (at[1] > at[0] -> 1 : 0);			\
	do						\
	:: w < NS && c == NOBODY ->			\
		if					\
		:: live[j] && !dying[j] && at[j] > l && (cov[j] & BIT(p)) CLAIM_IF ->	\
			c = BY; o = j			\
		:: else					\
		fi;					\
		w++;					\
		j = 1 - j				\
	:: else -> break				\
	od;						\
	if						\
	:: c == BY && ANY_STALE CLAIM_STALE -> c = STALE	\
	:: else						\
	fi

#ifdef STALE_IS_EMPTY
#define CLAIM_IF	&& !stale[j]
#else
#define CLAIM_IF
#endif
#if defined(STALE_IS_EMPTY) || defined(STALE_IS_WHOLE)
#define CLAIM_STALE	&& false
#else
#define CLAIM_STALE
#endif

/* Coverage::shrink() */
#ifdef GROWS
#define SHRINK(s, pages)	cov[s] = (pages)
#else
#define SHRINK(s, pages)	cov[s] = cov[s] & (pages)
#endif

/* Snapshots::refresh_all() */
inline refresh_all()
{
#ifndef TWO_AT_ONCE
	atomic { !refreshing -> refreshing = true };
#endif
	i_mmap_readers++;
	/* begin_refresh(), in batches */
	s = 0;
	do
	:: s < NS ->
		d_step {
			if
			:: live[s] -> seeing[s] = stale[s]; seen[s] = 0
			:: else
			fi;
			s++
		}
	:: else -> break
	od;
	/* see() */
	v = 0;
	do
	:: v < NV ->
		d_step {
			if
			:: vma[v] && seeing[SNAP(v)] -> seen[SNAP(v)] = seen[SNAP(v)] | vma[v]
			:: else
			fi;
			v++
		}
	:: else -> break
	od;
#ifdef LATE_PUBLISH
	i_mmap_readers--;
#endif
	/* end_refresh(), in batches */
	s = 0;
	do
	:: s < NS ->
		d_step {
			if
			:: live[s] && seeing[s] ->
				seeing[s] = false;
				if
				:: !dying[s] -> stale[s] = false
				:: else
				fi;
				SHRINK(s, seen[s]);
				seen[s] = 0;
				CHECK_SHOWN
			:: else
			fi;
			s++
		}
	:: else -> break
	od;
#ifndef LATE_PUBLISH
	i_mmap_readers--;
#endif
#ifndef TWO_AT_ONCE
	refreshing = false;
#endif
	s = 0;
	v = 0
}

/* Somebody who changes page p: Change::settle() under S and the folio lock, then the change. */
proctype changer(byte p)
{
	byte c, o, l, s, v, left = CHANGES;
	bool made;

	do
	:: left > 0 ->
		d_step { s_readers++; busy++; modified = true };
		if
		:: newest == 0 || stamp[p] == epoch -> goto settled
		:: newest != 0 && stamp[p] != epoch && newest <= stamp[p] -> goto stamped
		:: else
		fi;

		/* preserve() */
		filing++;
		made = false;
again:
		skip;
		d_step { CLAIM(p) };
		if
		:: c == STALE -> refresh_all(); goto again
		:: c == NOBODY -> goto preserved
		:: c == BY
		fi;
		/* Memory for the version is found here, with no lock of the store. */
		made = true;
		d_step {
#ifdef CLAIM_ONCE
			SETTLED(p);
			l = (stamp[p] > n -> stamp[p] : n);
#else
			CLAIM(p);
#endif
			if
			:: c == BY ->
				there[VER(p, epoch)] = true;
				lo[VER(p, epoch)] = l;
				kept[VER(p, epoch)] = content[p];
				owner[VER(p, epoch)] = o;
				looked_at[VER(p, epoch)] = false;
				stripped[VER(p, epoch)] = false;
				count++
			:: else
			fi
		};
		if
		:: c == BY
		:: else -> goto again
		fi;
preserved:
		filing--;
stamped:
		stamp[p] = epoch;
settled:
		skip;
		d_step {
			content[p]++;
			CHECK_SHOWN;
			c = 0; o = 0; l = 0; made = false
		};
		d_step { s_readers--; left--; DONE }
	:: left > 0 -> break
	:: left == 0 -> break
	od
}

/* w = Store::heir() of the version x, or NS. */
#define FIND_HEIR(x)					\
	w = NS;						\
	j = 0;						\
	do						\
	:: j < NS ->					\
		if					\
		:: live[j] && !dying[j] && (HEIR(j, x)) &&	\
		   at[j] > lo[x] && at[j] <= (x) % NE + 1 ->	\
			w = j				\
		:: else					\
		fi;					\
		j++					\
	:: else -> break				\
	od

/* The version x passes from snapshot s to itself, another one, or nobody: Store::pass_on(). */
#define PASS_ON(s, x)					\
	if						\
	:: !dying[s] && (cov[s] & BIT((x) / NE)) ->	\
		looked_at[x] = true			\
	:: else ->					\
		FIND_HEIR(x);				\
		if					\
		:: w < NS NO_HEIR -> owner[x] = w; looked_at[x] = false	\
		:: else ->				\
			there[x] = false; lo[x] = 0; kept[x] = 0; owner[x] = 0;	\
			looked_at[x] = false; stripped[x] = false;	\
			count--				\
		fi;					\
		CHECK_SHOWN				\
	fi

#ifdef HEIR_UNASKED
#define HEIR(j, x)	true
#else
#define HEIR(j, x)	cov[j] & BIT((x) / NE)
#endif
#ifdef FREE_ALL
#define NO_HEIR	&& false
#else
#define NO_HEIR
#endif

/* x = the first version on the list Live::head of snapshot s, or NVER. */
#define HEAD(s)						\
	x = 0;						\
	do						\
	:: x < NVER && !(there[x] && owner[x] == s && !looked_at[x]) -> x++	\
	:: else -> break				\
	od

/* Store::disown(), in batches */
inline disown()
{
	do
	:: d_step {
		HEAD(s);
		if
		:: x < NVER -> PASS_ON(s, x)
		:: else ->
			/* What was left is the list again. */
			i = 0;
			do
			:: i < NVER ->
				if
				:: there[i] && owner[i] == s -> looked_at[i] = false
				:: else
				fi;
				i++
			:: else -> break
			od
		fi
	   };
	   if
	   :: x == NVER -> break
	   :: else
	   fi
	od;
	x = 0
}

#ifdef STRIP_COVERED
#define STRIP_IF(x)
#else
#define STRIP_IF(x)	&& !(cov[s] & BIT((x) / NE))
#endif
#ifdef STRIP_SHARED
#define STRIP_HEIR	&& false
#else
#define STRIP_HEIR
#endif

/* Store::strip() for the pages of sub, in batches: shared = whether others need any of them. */
inline strip()
{
	v = 0;
	do
	:: v < NP ->
		d_step {
			x = VER(v, at[s]);
			do
			:: x < VER(v, NE) && !there[x] -> x++
			:: else -> break
			od;
			if
			:: (sub & BIT(v)) && there[x] && lo[x] < at[s] STRIP_IF(x) ->
				FIND_HEIR(x);
				if
				:: w < NS STRIP_HEIR -> shared = true
				:: else ->
					stripped[x] = true;
					kept[x] = GONE;
					CHECK_SHOWN
				fi
			:: else
			fi;
			x = 0;
			v++
		}
	:: else -> break
	od;
	v = 0
}

/* snapshots::release() */
inline release()
{
	d_step { dying[s] = true };
	do
	:: d_step {
		HEAD(s);
		if
		:: x < NVER -> PASS_ON(s, x)
		:: else ->
			live[s] = false; dying[s] = false; stale[s] = false;
			cov[s] = 0; seeing[s] = false; seen[s] = 0; always[s] = 0; split[s] = false
		fi;
		newest = 0;
		i = 0;
		do
		:: i < NS ->
			if
			:: live[i] && !dying[i] && at[i] > newest -> newest = at[i]
			:: else
			fi;
			i++
		:: else -> break
		od
	   };
	   if
	   :: x == NVER -> break
	   :: else
	   fi
	od;
	x = 0
}

/* Whether snapshot s has a version of one of the pages of sub, to n. Store::any() */
#define ANY(s)						\
	i = 0;						\
	n = 0;						\
	do						\
	:: i < NVER ->					\
		if					\
		:: there[i] && (sub & BIT(i / NE)) && lo[i] < at[s] && i % NE + 1 >= at[s] ->	\
			n = 1				\
		:: else					\
		fi;					\
		i++					\
	:: else -> break				\
	od

#ifdef SPLIT_ASKED_FIRST
#define ASK_SPLIT	whole
#else
#define ASK_SPLIT	!split[s]
#endif

#ifdef FILING_NOT_ASKED
#define NO_FILING
#else
#define NO_FILING	&& filing == 0
#endif

/* snapshots::trim() for the pages of sub */
inline trim()
{
#ifdef LOST_BEFORE
	d_step { ANY(s); lost = n };
#endif
	d_step {
		if
		:: ASK_SPLIT ->
			/* What is left is whole. */
			early = true
		:: else ->
			if
			:: live[s] && !dying[s] -> stale[s] = true
			:: else
			fi;
			early = count == 0 NO_FILING;
			/* Who files a version is not left to see to it alone (L3). */
			assert(!early || filing == 0);
#ifndef LOST_BEFORE
			ANY(s);
			lost = n
#endif
		fi
	};
	if
	:: early
	:: else ->
		/* refresh() */
		i_mmap_readers++;
		mine = 0;
		v = 0;
		do
		:: v < NV ->
			d_step {
				if
				:: SNAP(v) == s -> mine = mine | vma[v]
				:: else
				fi;
				v++
			}
		:: else -> break
		od;
#ifdef LATE_PUBLISH
		i_mmap_readers--;
#endif
		skip;
		d_step {
			if
			:: live[s] ->
				if
				:: !dying[s] -> stale[s] = false
				:: else
				fi;
				SHRINK(s, mine);
				CHECK_SHOWN
			:: else
			fi;
			mine = 0;
			v = 0
		};
#ifndef LATE_PUBLISH
		i_mmap_readers--;
#endif
#ifdef SPLIT_CLEARED
		/* All that is lost is known now. */
		split[s] = false;
#endif
		if
#ifndef NO_STRIP
		:: lost -> strip()
#endif
		:: else
		fi;
		if
#ifndef NO_DISOWN
		:: shared -> disown()
#endif
		:: else
		fi
	fi;
	d_step { early = false; lost = false; shared = false }
}

#ifdef SPLIT_UNSEEN
#define NO_SPLIT	&& false
#else
#define NO_SPLIT
#endif

/* A process that unmaps its mapping m, a part or all of it, or maps a part of it again by a growing mremap(). */
proctype unmapper(byte m)
{
	byte s, v, x, sub, mine, left = UNMAPS;
	bool early, lost, shared, whole;

	s = SNAP(m);
	do
	:: left > 0 && vma[m] ->
		atomic {
			/* Which pages. */
			if
			:: vma[m] & 1 -> sub = 1
			:: vma[m] & 2 -> sub = 2
			:: vma[m] == ALL -> sub = ALL
			fi;
			/* vm_ops->may_split */
			if
			:: sub != vma[m] NO_SPLIT -> split[s] = true
			:: else
			fi;
#ifdef SPLIT_ASKED_FIRST
			whole = !split[s]
#endif
		};
		/* Out of i_mmap. Of what is cut in two each part has the file. */
		atomic {
			i_mmap_readers == 0 ->
			d_step {
				busy++;
				vma[m] = vma[m] & ~sub;
				if
				:: vma[m] -> users[s]++
				:: else
				fi;
				i = 0;
				n = 0;
				do
				:: i < NV ->
					if
					:: SNAP(i) == s -> n = n | vma[i]
					:: else
					fi;
					i++
				:: else -> break
				od;
				always[s] = always[s] & n
			}
		};
		/* vm_ops->close */
		if
		:: users[s] > 1 -> trim()
		:: else
		fi;
		/* fput() */
		d_step { users[s]--; early = users[s] == 0 };
		if
		:: early -> early = false; release()
		:: else
		fi;
		d_step { left--; sub = 0; DONE }
#ifdef REGROW
	:: left > 0 && vma[m] && vma[m] != ALL ->
		atomic { i_mmap_readers == 0 -> vma[m] = ALL; left-- }
#endif
	:: left > 0 -> break
	:: left == 0 -> break
	od
}

/* mmap(): snapshot 1, with mapping 2. */
proctype mapper()
{
	atomic {
		s_readers == 0 ->
		d_step {
			if
			:: modified -> epoch++; modified = false
			:: else
			fi;
			live[1] = true;
			at[1] = epoch;
			cov[1] = ALL;
			always[1] = ALL;
			newest = epoch;
			vma[2] = ALL;
			users[1] = 1;
			i = 0;
			do
			:: i < NP -> want[NP + i] = content[i]; i++
			:: else -> break
			od
		}
	};
	run unmapper(2)
}

init {
	d_step {
		live[0] = true;
		at[0] = 1;
		cov[0] = ALL;
		always[0] = ALL;
		/* A process and its child. */
#ifdef NO_CHILD
		vma[0] = ALL;
		users[0] = 1
#else
		vma[0] = ALL;
		vma[1] = ALL;
		users[0] = 2
#endif
	};
	atomic {
		run changer(0);
#ifndef ONE_CHANGER
		run changer(1);
#endif
		run unmapper(0);
#ifndef NO_CHILD
		run unmapper(1);
#endif
#ifndef ONE_SNAPSHOT
		run mapper()
#endif
	}
}
