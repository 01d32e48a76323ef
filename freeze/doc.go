// Package freeze freezes the filesystems of a Linux guest for a snapshot of
// its disks, and makes sure that they thaw again. It knows nothing of any
// protocol: a program that calls Init in its main can use it.
//
//	func main() {
//		freeze.Init()
//		engine := freeze.New(freeze.Config{StateDir: "/run"})
//		if _, err := engine.Recover(); err != nil { … }
//		n, err := engine.Freeze(ctx, freeze.Request{})
//		…
//		n, err = engine.Thaw(ctx)
//	}
//
// # The way of a freeze
//
//   - survey: the mount table, one filesystem for each superblock, and what
//     lies below it (inventory.go, topology.go);
//   - plan: what writes land on makes the order, in levels (graph.go, plan.go);
//   - open: every target, before anything is frozen (target.go);
//   - sync: through the freezer, while applications run on (presync.go);
//   - hooks: the applications' own preparations, and a sync of what they have
//     written (hooks.go; which they are hookdir.go and trusted.go, one run
//     hook.go, its process gate.go);
//   - rehearsal: each filesystem is frozen and thawed by itself, which leaves
//     the kernel prepared and the journals empty (rehearsal.go);
//   - window: the freezer, a child process, calls FIFREEZE level by level
//     (freezer.go, a thread for each target in worker.go, mailbox.go; the
//     agent's side is child.go and window.go, what they say to each other
//     wire.go). It is given up when a disk stands still (standstill.go) or the
//     freezer is stopped (pulse.go);
//   - hold: until a thaw is asked for, the deadline, or the freezer's or the
//     agent's death (hold.go, thaw.go, order.go);
//   - and what a later process does when both died (state.go, keeper.go,
//     recover.go, detached.go, process.go).
//
// # What holds
//
// No filesystem stays frozen past its deadline, whichever process dies or is
// stopped. An error or 0 from Freeze means that nothing is frozen. A thaw
// undoes our freeze and no other. A hook that was called with "freeze" is
// called with "thaw". An end that nobody asked for is told.
package freeze
