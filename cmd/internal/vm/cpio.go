package vm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// archive is a tree of files to be written as a cpio archive, the form in
// which the kernel takes its first filesystem.
type archive struct {
	entries map[string]entry
}

type entry struct {
	mode   uint32
	data   string // a link's target, or a file's content
	source string // the file that has the content
	device [2]uint32
}

func newArchive() *archive {
	return &archive{entries: map[string]entry{}}
}

// add adds an entry and the directories above it.
func (a *archive) add(name string, e entry) {
	name = strings.TrimPrefix(path.Clean(name), "/")
	if name == "" || name == "." {
		return
	}
	a.entries[name] = e
	if _, ok := a.entries[path.Dir(name)]; !ok {
		a.dir(path.Dir(name))
	}
}

func (a *archive) dir(name string) {
	a.add(name, entry{mode: unix.S_IFDIR | 0o755})
}

func (a *archive) file(name, source string) {
	a.add(name, entry{mode: unix.S_IFREG | 0o755, source: source})
}

func (a *archive) text(name, content string) {
	a.add(name, entry{mode: unix.S_IFREG | 0o644, data: content})
}

func (a *archive) symlink(name, target string) {
	a.add(name, entry{mode: unix.S_IFLNK | 0o777, data: target})
}

func (a *archive) device(name string, major, minor uint32) {
	a.add(name, entry{mode: unix.S_IFCHR | 0o600, device: [2]uint32{major, minor}})
}

// save writes the archive to a file.
func (a *archive) save(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w := &cpioWriter{w: bufio.NewWriterSize(f, 1<<20)}
	names := make([]string, 0, len(a.entries))
	for name := range a.entries {
		names = append(names, name)
	}
	sort.Strings(names) // a directory comes before what is in it
	for _, name := range names {
		if err := w.entry(name, a.entries[name]); err != nil {
			return err
		}
	}
	if err := w.entry("TRAILER!!!", entry{}); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// cpioWriter writes the "newc" form: a header of hexadecimal numbers, the name
// and the content, each padded to four bytes.
type cpioWriter struct {
	w     *bufio.Writer
	inode int
}

func (c *cpioWriter) entry(name string, e entry) error {
	var content io.Reader = strings.NewReader(e.data)
	size := int64(len(e.data))
	if e.source != "" {
		f, err := os.Open(e.source)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		content, size = f, info.Size()
	}
	c.inode++
	// ino mode uid gid nlink mtime size devmajor devminor rdevmajor rdevminor
	// namesize check
	_, err := fmt.Fprintf(c.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, e.mode, 0, 0, 1, 0, size, 0, 0, e.device[0], e.device[1], len(name)+1, 0, name)
	if err != nil {
		return err
	}
	if err := c.pad(int64(110 + len(name) + 1)); err != nil {
		return err
	}
	if _, err := io.CopyN(c.w, content, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return c.pad(size)
}

func (c *cpioWriter) pad(written int64) error {
	_, err := c.w.Write(make([]byte, (4-written%4)%4))
	return err
}
