package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// built builds the agent.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu-ga")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "../../qemu-ga")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// The bill names what the Go command says is linked in, no more and no less,
// each part with a licence that may be.
func TestBillOfTheAgent(t *testing.T) {
	program := built(t)
	var bill bytes.Buffer
	require.NoError(t, run([]string{program}, "1700000000", &bill))
	var d spdxDocument
	require.NoError(t, json.Unmarshal(bill.Bytes(), &d))
	require.Equal(t, "2023-11-14T22:13:20Z", d.Creation.Created)

	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "../../qemu-ga")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	require.NoError(t, err)
	want := slices.Compact(slices.Sorted(strings.Lines(string(out))))
	var got []string
	for i, p := range d.Packages {
		require.Contains(t, []string{"MIT", "BSD-3-Clause", "Apache-2.0"}, p.LicenseDeclared, p.Name)
		if p.Name != "stdlib" {
			version := p.Version
			if i == 0 {
				version = ""
			}
			got = append(got, p.Name+" "+version+"\n")
		}
	}
	require.ElementsMatch(t, want, got)
	require.Len(t, d.Relationships, len(d.Packages), "one is the document's")

	var again bytes.Buffer
	require.NoError(t, run([]string{program}, "1700000000", &again))
	require.Equal(t, bill.String(), again.String())
}

func TestBillOfWhatIsNoProgram(t *testing.T) {
	require.Error(t, run([]string{"sbom_test.go"}, "", &bytes.Buffer{}))
	require.Error(t, run(nil, "", &bytes.Buffer{}))
}

func TestRecognise(t *testing.T) {
	own, err := licenceIn("../../..")
	require.NoError(t, err)
	require.Equal(t, "Apache-2.0", own)

	const bsd = "Redistribution and use in source and binary forms, with or\nwithout modification\nRedistributions in binary form must reproduce the above"
	for text, want := range map[string]string{
		"Permission is hereby granted, free of charge, to any\n The above copyright notice and this\npermission notice shall be included": "MIT",
		bsd: "BSD-2-Clause",
		bsd + " Neither the name of the copyright holder": "BSD-3-Clause",
	} {
		got, err := recognise(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for text, want := range map[string]string{
		"":                               "none of those known",
		"All rights reserved.":           "none of those known",
		"GNU GENERAL PUBLIC LICENSE":     "speaks of GNU",
		bsd + " Commons Clause License":  "speaks of Commons Clause",
		"All advertising materials must": "speaks of advertising materials",
	} {
		_, err := recognise(text)
		require.ErrorContains(t, err, want, text)
	}
	_, err = licenceIn(t.TempDir())
	require.EqualError(t, err, "it has no licence")
}
