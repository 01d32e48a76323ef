// Command sbom writes the software bill of materials of a Go program, in SPDX
// 2.3 as JSON: the program itself, and every module and the Go toolchain that
// are linked into it, as the program's own build information names them, with
// their licences. A licence that is not known to be compatible with Apache-2.0
// is an error.
//
//	go run ./cmd/internal/sbom bin/qemu-ga >qemu-ga.spdx.json
//
// The same program gives the same bytes: the time is SOURCE_DATE_EPOCH's, in
// seconds since 1970, or 1970.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(args []string, epoch string, w io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: sbom PROGRAM")
	}
	parts, err := partsOf(args[0])
	if err != nil {
		return err
	}
	seconds := int64(0)
	if epoch != "" {
		if seconds, err = strconv.ParseInt(epoch, 10, 64); err != nil {
			return fmt.Errorf("cannot read SOURCE_DATE_EPOCH: %w", err)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(document(parts, time.Unix(seconds, 0).UTC()))
}
