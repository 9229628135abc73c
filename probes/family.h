/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families: the roots whose lock a task has waited for, and who shares them.
 *
 * A family begins with the first wait for the lock of its root and ends when the root is freed. The
 * waits are counted by lock.c, the members by the census. A mark is an array element in front of
 * the hash: all that an anon_vma costs which nobody waits for.
 *
 * struct family is in lazyobs/bpf/layouts.py.
 */

BPF_TABLE("hash", u64, struct family, families, FAMILY_ENTRIES);
BPF_TABLE("array", u32, u32, family_marks, FAMILY_MARKS);
BPF_TABLE("array", u32, struct family_state, family_states, 1);

static __always_inline u32 *family_mark_of(u64 root)
{
	u32 index = (root >> 3) * 0x9E3779B97F4A7C15ULL >> (64 - FAMILY_MARK_BITS);

	return family_marks.lookup(&index);
}

static __always_inline struct family *find_family(u64 root)
{
	u32 *mark = family_mark_of(root);

	return mark && *mark ? families.lookup(&root) : NULL;
}

#define NUMBER_TRIES 8

/*
 * 0 where other tasks were first in every try. Not by the result of __sync_fetch_and_add(), for
 * which newer compilers want -mcpu=v3; BCC does not give it.
 */
static __always_inline u64 next_family_number(struct family_state *state)
{
	if (!HAVE_COMPARE_AND_SWAP)
		return ++state->numbers;
#pragma clang loop unroll(full)
	for (int try = 0; try < NUMBER_TRIES; try++) {
		u64 last = state->numbers;

		if (slot_changes(&state->numbers, last, last + 1))
			return last + 1;
	}
	return 0;
}

/* NULL where the map is full, which is counted. A waiting task holds the root: it is not freed. */
static __always_inline struct family *new_family(u64 root)
{
	struct family_state *state = ONLY(family_state, family_states);
	struct family fresh = {}, *family;
	u32 *mark = family_mark_of(root);

	if (!mark)
		return NULL;
	fresh.number = next_family_number(state);
	fresh.since = bpf_ktime_get_boot_ns();
	/* It can be there already: another task was first, and its mark is set. */
	if (fresh.number && !families.insert(&root, &fresh))
		__sync_fetch_and_add(mark, 1);
	family = families.lookup(&root);
	if (!family)
		count_total(TOTAL_FAMILY_MAP_FULL, 1);
	return family;
}

/* Where no task has waited for any, the marks stay out of the CPU's cache. */
static __always_inline void family_ends(u64 root)
{
	u32 *mark;

	if (!ONLY(family_state, family_states)->numbers)
		return;
	mark = family_mark_of(root);
	if (mark && *mark && !families.delete(&root))
		__sync_fetch_and_add(mark, -1);
}
