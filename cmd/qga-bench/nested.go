package main

import (
	"fmt"
	"time"

	"qemu-ga/freeze/freezetest"
)

// nest is filesystems on files of each other, and two that stand alone: a
// freeze of an outer one before its inner one would never end.
var nest = []freezetest.FS{
	{Type: "ext4", Dir: "/nest/outer", Size: 2 << 30},
	{Type: "xfs", Dir: "/nest/middle", Image: "/nest/outer/image", Size: 1 << 30},
	{Type: "ext4", Dir: "/nest/inner", Image: "/nest/middle/image"},
	{Type: "btrfs", Dir: "/nest/beside", Image: "/nest/outer/beside"},
	{Type: "ext4", Dir: "/nest/alone"},
	{Type: "xfs", Dir: "/nest/other"},
}

// measureNested freezes and thaws nested filesystems many times while writers
// write to each. One round that takes long is a deadlock, and an error.
func measureNested(short bool) (string, error) {
	const patience = 20 * time.Second
	count := 1000
	if short {
		count = 100
	}
	var dirs []string
	for _, f := range nest {
		if err := freezetest.Mount(f); err != nil {
			return "", err
		}
		dirs = append(dirs, f.Dir)
	}
	w, err := startWriters(fsyncing, dirs)
	if err != nil {
		return "", err
	}
	a, err := startAgent(ours)
	if err != nil {
		return "", err
	}
	var longest time.Duration
	for round := range count {
		begun := time.Now()
		if err := a.conn.SetDeadline(begun.Add(patience)); err != nil {
			return "", err
		}
		if err := cycle(a, len(nest)); err != nil {
			return "", fmt.Errorf("round %d of nested filesystems: %w", round+1, err)
		}
		longest = max(longest, time.Since(begun))
	}
	if err := a.stop(); err != nil {
		return "", err
	}
	if err := w.stop(); err != nil {
		return "", err
	}
	for i := range dirs {
		if err := freezetest.Unmount(dirs[len(dirs)-1-i]); err != nil {
			return "", err
		}
	}
	text := fmt.Sprintf("%d freezes and thaws of %d filesystems, three of them loops inside each other and one beside, under fsync-ing writers: no deadlock; the longest, with its pre-sync, took %s ms.", count, len(nest), number(ms(longest)))
	say("%s", text)
	return text, nil
}
