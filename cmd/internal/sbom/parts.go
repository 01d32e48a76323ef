package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// part is something that a program is made of.
type part struct {
	name, version string
	// sum is, of the program itself, the SHA-256 of its file; of a module its
	// sum as in go.sum; of the toolchain nothing.
	sum     string
	licence string // an SPDX identifier
	purl    string // the name in the form of packageurl.org
}

// partsOf reads what a program is made of: itself first, then its modules in
// the order of their paths, then the toolchain.
func partsOf(program string) ([]part, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	own := part{
		name: info.Main.Path, version: strings.Trim(info.Main.Version, "()"), sum: hex.EncodeToString(sum[:]),
		licence: "Apache-2.0", purl: "pkg:golang/" + info.Main.Path,
	}
	parts := []part{own}
	for _, module := range info.Deps {
		if module.Replace != nil {
			return nil, fmt.Errorf("%s is replaced by %s, whose licence is not looked for", module.Path, module.Replace.Path)
		}
		dir, err := goTool("list", "-m", "-f", "{{.Dir}}", module.Path+"@"+module.Version)
		if err != nil {
			return nil, err
		}
		licence, err := licenceIn(dir)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", module.Path, module.Version, err)
		}
		parts = append(parts, part{
			name: module.Path, version: module.Version, sum: module.Sum, licence: licence,
			purl: "pkg:golang/" + module.Path + "@" + module.Version,
		})
	}
	root, err := goTool("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	licence, err := licenceIn(root)
	if err != nil {
		return nil, fmt.Errorf("the Go toolchain: %w", err)
	}
	version := strings.TrimPrefix(info.GoVersion, "go")
	return append(parts, part{name: "stdlib", version: version, licence: licence, purl: "pkg:golang/stdlib@" + version}), nil
}

// goTool runs the Go command and returns its one line.
func goTool(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
