/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is not known when the probes are compiled, and filled in when they are loaded: where a
 * member of a kernel struct lies, how large the struct is, where a function is, what the kernel
 * has.
 *
 * A blank is an instruction with a mark and a number in place of the value. The compiler cannot
 * look into it, so nothing is folded into what is around it; the verifier sees the value itself,
 * follows the branches that are left, and removes the others. lazyobs/bpf/blanks.py fills them in.
 *
 * Generated text precedes this file: the marks, and a name for each blank.
 */

/* A number, known to the verifier: "if (CONSTANT)" costs one instruction, and no branch. */
#define CONSTANT(number)                                                             \
	({                                                                           \
		u64 constant_;                                                       \
		asm("%0 = %1 ll" : "=r"(constant_) : "i"(CONSTANT_MARK | (number))); \
		constant_;                                                           \
	})

/*
 * The only value of an array, by its address instead of a lookup: it cannot be missing.
 */
#define ONLY(type, map)                                                              \
	({                                                                           \
		struct type *value_;                                                 \
		asm("%0 = %1 ll" : "=r"(value_) : "i"(VALUE_MARK | VALUE_OF_##map)); \
		value_;                                                              \
	})

/*
 * Which of a table's rows a value is in: becomes comparisons, made for this kernel by the loader
 * (a search tree of the ranges of functions, say).
 */
#define SWITCH(number, value)                                          \
	({                                                             \
		u64 row_;                                              \
		asm("%0 = %2 ll\n\t%0 += %1"                           \
		    : "=&r"(row_)                                      \
		    : "r"((u64)(value)), "i"(SWITCH_MARK | (number))); \
		row_;                                                  \
	})

/* Eight bytes of the context or of a copy on the stack or in a map, at an offset that is filled in.
 */
#define LOAD_AT(pointer, number)                                       \
	({                                                             \
		u64 word_;                                             \
		asm volatile("%0 = *(u64 *)(%1 + %2)"                  \
			     : "=r"(word_)                             \
			     : "r"(pointer), "i"(LOAD_MARK + (number)) \
			     : "memory");                              \
		word_;                                                 \
	})

/* Of a member: lazyobs/bpf/structs.py gives each a place of its own, MEMBER_STRIDE apart. */
#define NUMBER_OF(type, member) (__builtin_offsetof(type, member) / MEMBER_STRIDE)

/*
 * The address of a member. The typedef hides the pointer from BCC, which would take a dereference
 * of it for a read, also in typeof, and rewrite it.
 */
#define MEMBER(pointer, member)                                                             \
	({                                                                                  \
		typedef typeof(pointer) pointer_;                                           \
		u64 at_ = (u64)(pointer);                                                   \
		asm("%0 += %1"                                                              \
		    : "+r"(at_)                                                             \
		    : "i"(OFFSET_MARK | __builtin_offsetof(typeof(*(pointer_)0), member))); \
		(typeof(&((pointer_)0)->member))at_;                                        \
	})

/* The struct of which ``at`` is the address of a member. */
#define STRUCT_AROUND(at, type, member)                                     \
	({                                                                  \
		u64 around_ = (u64)(at);                                    \
		asm("%0 -= %1"                                              \
		    : "+r"(around_)                                         \
		    : "i"(OFFSET_MARK | __builtin_offsetof(type, member))); \
		(type *)around_;                                            \
	})

/* One load of kernel memory, of the bytes that a member has; 0 where there is none. */
#define LOAD_TYPED(bits, address)                                       \
	({                                                              \
		u64 loaded_;                                            \
		asm volatile("%0 = *(u" #bits " *)(%1 + 0)"             \
			     : "=r"(loaded_)                            \
			     : "r"(TYPED((u64)(address), TYPE_OF_WORD)) \
			     : "memory");                               \
		loaded_;                                                \
	})

/*
 * BCC rewrites some dereferences and misses others: every read of kernel memory is explicit. Text
 * is read by the helper everywhere, so that a lockdown that forbids it is not got around by a load.
 */
#define READ(pointer, member)                                                                    \
	({                                                                                       \
		typedef typeof(pointer) struct_;                                                 \
		typeof(((struct_)0)->member) value_;                                             \
		if (!HAVE_TYPED_LOADS)                                                           \
			bpf_probe_read_kernel(&value_, sizeof(value_), MEMBER(pointer, member)); \
		else if (sizeof(value_) == 8)                                                    \
			value_ = (typeof(value_))LOAD_TYPED(64, MEMBER(pointer, member));        \
		else if (sizeof(value_) == 4)                                                    \
			value_ = (typeof(value_))LOAD_TYPED(32, MEMBER(pointer, member));        \
		else                                                                             \
			value_ = (typeof(value_))LOAD_TYPED(8, MEMBER(pointer, member));         \
		value_;                                                                          \
	})

/*
 * The part of a struct that the members of COPIES (structs.py) are in. Where a load costs as much
 * as a call, it is copied, for one call is cheaper than one for each member; elsewhere the copy is
 * the struct's address alone. Zeros, and not 0, where the kernel cannot read there.
 */
#define COPY(copy, pointer, name)                                                      \
	({                                                                             \
		s64 failed_ = 0;                                                       \
		if (HAVE_TYPED_LOADS)                                                  \
			(copy)->words[0] = (u64)(pointer);                             \
		else                                                                   \
			failed_ = bpf_probe_read_kernel(copy, COPIED_##name, pointer); \
		failed_;                                                               \
	})
#define COPIED(copy, name, member)                                                                 \
	({                                                                                         \
		u64 copied_;                                                                       \
		if (HAVE_TYPED_LOADS)                                                              \
			copied_ = LOAD_TYPED(64, MEMBER((struct name *)(copy)->words[0], member)); \
		else                                                                               \
			copied_ = LOAD_AT(copy, NUMBER_OF(struct name, member));                   \
		copied_;                                                                           \
	})
