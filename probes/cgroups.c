// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cgroups of processes: the one that a process is known by, and the paths of all (iter/task).
 *
 * The paths are those of the kernel's own tree: no cgroup namespace, pid namespace or option of
 * /proc hides a part of them. User space asks for them when it meets an id that it does not know.
 */

#define CGROUP_LEVELS 32

/*
 * The cgroup of the memory controller where that has a hierarchy of its own (cgroup v1, alone or
 * beside v2), else the one of the default hierarchy. Ids are unique in a hierarchy only, and this
 * is the same hierarchy for every process.
 */
static __always_inline struct kernfs_node *cgroup_of(struct task_struct *task)
{
	struct cgroup_subsys_state *memory;
	struct cgroup *cgroup, *other;
	struct css_set *css;

	if (!HAVE_css_set_dfl_cgrp)
		return NULL;
	css = READ(task, cgroups);
	cgroup = READ(css, dfl_cgrp);
	if (HAVE_MEMORY_CGROUP) {
		memory = READ(css, memory);
		other = READ(memory, cgroup);
		if (other && READ(other, root) != READ(cgroup, root))
			cgroup = other;
	}
	return READ(cgroup, kn);
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	if (HAVE_kernfs_node_parent)
		return READ(node, parent);
	if (HAVE_kernfs_node_rcu_parent)
		return READ(node, rcu_parent);
	return NULL;
}

struct cgroup_state {
	u64 last; /* whose path was written last: processes of a cgroup often follow each other */
	struct cgroup_row row;
};

BPF_TABLE("array", u32, struct cgroup_state, cgroup_states, 1);

int cgroup_paths(struct bpf_iter__task *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task;
	struct kernfs_node *node, *parent;
	struct cgroup_state *state;
	u32 zero = 0;
	u64 id;

	state = cgroup_states.lookup(&zero);
	if (!state || !task)
		return 0;
	if (meta->seq_num == 0)
		state->last = 0;
	if (READ(task, group_leader) != task)
		return 0;
	node = cgroup_of(task);
	if (!node)
		return 0;
	id = READ(node, id);
	if (id == state->last)
		return 0;
#pragma clang loop unroll(disable)
	for (int level = 0; level < CGROUP_LEVELS; level++) {
		parent = parent_of(node);
		state->row.id = READ(node, id);
		/* What cannot be read is zeros. */
		state->row.parent = READ(parent, id);
		bpf_probe_read_kernel_str(state->row.name, sizeof(state->row.name),
					  READ(node, name));
		/* Of a task whose rows do not fit, all are written again in the next call. */
		if (bpf_seq_write(meta->seq, &state->row, sizeof(state->row)))
			return 0;
		if (!parent)
			break;
		node = parent;
	}
	state->last = id;
	return 0;
}
