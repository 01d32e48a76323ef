package guest

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// PathList names the files that a policy is about.
type PathList struct{ patterns []string }

// below is the end of a pattern that stands for all that lies in a directory,
// at any depth.
const below = "/**"

// NewPathList makes a list of patterns. A pattern is the absolute name of a
// file, without symbolic links; *, ? and [...] in it stand for text within one
// part of the name, as in a shell, and /** at its end for everything below a
// directory. A list without patterns covers nothing.
func NewPathList(patterns []string) (*PathList, error) {
	for _, p := range patterns {
		switch _, err := path.Match(strings.TrimSuffix(p, below), ""); {
		case !path.IsAbs(p):
			return nil, fmt.Errorf("%q is no absolute path", p)
		case path.Clean(p) != p || p == "/":
			return nil, fmt.Errorf("%q is no file's name: write it without //, . and .., and without / at its end", p)
		case err != nil, strings.Contains(strings.TrimSuffix(p, below), "**"):
			return nil, fmt.Errorf("%q is no pattern: * ? and [...] stand for text between slashes, and /** at the end for all below", p)
		}
	}
	return &PathList{patterns}, nil
}

// Empty tells whether the list covers nothing.
func (l *PathList) Empty() bool { return len(l.patterns) == 0 }

// Links returns the real names of those in the list that are symbolic links,
// or lie below one, by the name in the list: the list does not cover the files
// that such names lead to, which is seldom what was meant.
func (l *PathList) Links(root Root) map[string]string {
	links := map[string]string{}
	for _, p := range l.patterns {
		if !isPlain(p) {
			continue
		}
		if real, err := root.Real(p); err == nil && real != p {
			links[p] = real
		}
	}
	return links
}

// coverage is how a list covers a file.
type coverage int

const (
	uncovered coverage = iota
	byPattern          // by a pattern that stands for many files
	byName             // by its own name
)

// cover tells how the list covers a file with the real name.
func (l *PathList) cover(name string) coverage {
	best := uncovered
	if l == nil {
		return best
	}
	for _, p := range l.patterns {
		switch {
		case p == name && isPlain(p):
			return byName
		case matches(p, name):
			best = byPattern
		}
	}
	return best
}

// matches tells whether a pattern stands for a name.
func matches(pattern, name string) bool {
	dir, deep := strings.CutSuffix(pattern, below)
	if deep {
		depth := strings.Count(dir, "/")
		if strings.Count(name, "/") <= depth {
			return false
		}
		parts := strings.SplitN(name, "/", depth+2)
		pattern, name = dir, strings.Join(parts[:depth+1], "/")
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func isPlain(pattern string) bool { return !strings.ContainsAny(pattern, `*?[\`) }

// ErrRefused says that a policy does not allow what was asked for.
var ErrRefused = errors.New("operation not permitted: the policy of this guest does not allow it")
