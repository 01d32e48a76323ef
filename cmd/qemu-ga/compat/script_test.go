package compat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// script is a file of testdata.
type script struct {
	name  string
	steps []step
}

// step is one line of a script.
type step struct {
	line    int
	do      string // what to do: "request" or a directive's name
	text    string // the rest of the line
	pieces  []string
	content string // of a file
	masks   []mask // in effect
	differs *expected
}

// expected is a difference that is there on purpose.
type expected struct {
	name         string
	theirs, ours []string
}

// directives tells which lines there are; those that are true have pieces.
var directives = map[string]bool{
	"raw": true, "shut": true, "abandon": true, "second": true, "close": false, "await": false, "agent": false, "kill": false, "term": false,
	"$": false, "file": false, "mount": false, "freeze": false, "thaw": false, "frozen": false,
}

// readScript reads a script.
func readScript(path string) (script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return script{}, err
	}
	s := script{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
	var masks []mask
	var differs *expected
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		st := step{line: i + 1, masks: masks, differs: differs}
		word, rest, _ := strings.Cut(line, " ")
		st.do, st.text = word, strings.TrimSpace(rest)
		var err error
		switch withPieces, known := directives[word]; {
		case line == "", strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "{"):
			st.do, st.text, st.pieces = "request", line, []string{line + "\n"}
		case withPieces:
			st.pieces, err = splitPieces(st.text)
		case known:
		case word == "|" && len(s.steps) > 0:
			s.steps[len(s.steps)-1].content += rest + "\n"
			continue
		case word == "mask":
			path, kind, _ := strings.Cut(st.text, " ")
			masks = append(slices.Clip(masks), mask{path, kind})
			continue
		case word == "differs":
			differs = &expected{name: st.text}
			continue
		case word == "theirs" && differs != nil:
			differs.theirs = append(differs.theirs, st.text)
			continue
		case word == "ours" && differs != nil:
			differs.ours = append(differs.ours, st.text)
			continue
		default:
			err = fmt.Errorf("what is %q?", word)
		}
		if err != nil {
			return s, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		s.steps, differs = append(s.steps, st), nil
	}
	return s, nil
}

// splitPieces reads quoted strings, each perhaps repeated: "["*1025 'x'.
func splitPieces(text string) ([]string, error) {
	var pieces []string
	for text != "" {
		var piece string
		if text[0] == '\'' {
			end := strings.IndexByte(text[1:], '\'') + 1
			if end == 0 {
				return nil, fmt.Errorf("%q has no end", text)
			}
			piece, text = text[1:end], text[end+1:]
		} else {
			quoted, err := strconv.QuotedPrefix(text)
			if err != nil {
				return nil, fmt.Errorf("%q is not quoted", text)
			}
			piece, _ = strconv.Unquote(quoted)
			text = text[len(quoted):]
		}
		word, rest, _ := strings.Cut(text, " ")
		if times, ok := strings.CutPrefix(word, "*"); ok {
			n, err := strconv.Atoi(times)
			if err != nil {
				return nil, err
			}
			piece = strings.Repeat(piece, n)
		} else if word != "" {
			return nil, fmt.Errorf("what is %q?", word)
		}
		pieces, text = append(pieces, piece), strings.TrimSpace(rest)
	}
	return pieces, nil
}
