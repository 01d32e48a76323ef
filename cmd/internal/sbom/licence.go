package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// licences are those that may be linked into a program under Apache-2.0, each
// with sentences that all of its texts have and that together no other has.
var licences = []struct {
	id        string
	sentences []string
}{
	{"MIT", []string{"Permission is hereby granted, free of charge", "The above copyright notice and this permission notice shall be included"}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "Neither the name of"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms", "Redistributions in binary form must reproduce"}},
	{"ISC", []string{"Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"}},
	{"Apache-2.0", []string{"Apache License", "Version 2.0, January 2004", "Grant of Patent License"}},
}

// forbidding are words that none of those texts has: a file with one of them
// names a further licence, which a person has to read.
var forbidding = []string{"GNU", "Mozilla Public", "Commons Clause", "Server Side Public", "advertising materials", "non-commercial"}

// licenceIn tells the licence of the module in a directory.
func licenceIn(dir string) (string, error) {
	for _, name := range []string{"LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "COPYING"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return recognise(string(text))
	}
	return "", errors.New("it has no licence")
}

// recognise tells which licence a text is.
func recognise(text string) (string, error) {
	words := strings.Join(strings.Fields(text), " ")
	for _, word := range forbidding {
		if strings.Contains(words, word) {
			return "", errors.New("its licence speaks of " + word + ": read it")
		}
	}
	for _, licence := range licences {
		all := true
		for _, sentence := range licence.sentences {
			all = all && strings.Contains(words, sentence)
		}
		if all {
			return licence.id, nil
		}
	}
	return "", errors.New("its licence is none of those known to be compatible")
}
