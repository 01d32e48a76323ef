package main

import (
	"os"
	"path/filepath"

	"qemu-ga/cmd/internal/vm/control"
)

// put writes a file in place of the one that has its name.
func put(file control.File) (struct{}, error) {
	if err := os.MkdirAll(filepath.Dir(file.Path), 0o755); err != nil {
		return struct{}{}, err
	}
	// A program that runs cannot be written to, only replaced.
	next := file.Path + ".put"
	if err := os.WriteFile(next, file.Data, 0o600); err != nil {
		return struct{}{}, err
	}
	if err := os.Chmod(next, os.FileMode(file.Mode)); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, os.Rename(next, file.Path)
}

// get reads a file.
func get(path control.Path) (control.File, error) {
	data, err := os.ReadFile(path.Path)
	if err != nil {
		return control.File{}, err
	}
	info, err := os.Stat(path.Path)
	if err != nil {
		return control.File{}, err
	}
	return control.File{Path: path.Path, Mode: uint32(info.Mode().Perm()), Data: data}, nil
}
