package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// prose is what the comments in the source say.
type prose struct {
	handlers map[string]string            // of a command: the name of its function
	funcs    map[string]string            // comments by function
	types    map[string]string            // by type
	fields   map[string]map[string]string // by type and field; "" is none of its own
}

// readProse reads the packages in some directories. Names that two of them
// have are those of the first.
func readProse(dirs ...string) (*prose, error) {
	p := &prose{
		handlers: map[string]string{}, funcs: map[string]string{},
		types: map[string]string{}, fields: map[string]map[string]string{},
	}
	for _, dir := range dirs {
		q := &prose{handlers: p.handlers, funcs: map[string]string{}, types: map[string]string{}, fields: map[string]map[string]string{}}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			ast.Inspect(file, q.visit)
		}
		maps.Copy(q.funcs, p.funcs)
		maps.Copy(q.types, p.types)
		maps.Copy(q.fields, p.fields)
		p = q
	}
	return p, nil
}

func (p *prose) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		p.funcs[n.Name.Name] = text(n.Doc)
	case *ast.GenDecl:
		for _, spec := range n.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				doc := t.Doc
				if doc == nil {
					doc = n.Doc
				}
				p.addType(t, text(doc))
			}
		}
	case *ast.CallExpr: // command("guest-ping", ping, …)
		f, ok := n.Fun.(*ast.Ident)
		if !ok || f.Name != "command" || len(n.Args) < 2 {
			return true
		}
		literal, ok := n.Args[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			return true
		}
		switch handler := n.Args[1].(type) {
		case *ast.Ident:
			p.handlers[name] = handler.Name
		case *ast.SelectorExpr: // (*Agent).exec
			p.handlers[name] = handler.Sel.Name
		}
	}
	return true
}

func (p *prose) addType(t *ast.TypeSpec, doc string) {
	p.types[t.Name.Name] = doc
	s, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	fields := map[string]string{}
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			fields[name.Name] = text(f.Doc)
		}
	}
	p.fields[t.Name.Name] = fields
}

// text is a comment in one paragraph.
func text(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

// ofCommand is what the comment on a command's handler says of the command:
// "ping answers guest-ping. It …" says "It …".
func (p *prose) ofCommand(name string) string {
	handler := p.handlers[name]
	words, ok := strings.CutPrefix(p.funcs[handler], handler+" answers ")
	if !ok {
		return ""
	}
	for _, c := range []string{"guest-sync and guest-sync-delimited", name} {
		if rest, ok := strings.CutPrefix(words, c); ok {
			words = rest
			break
		}
	}
	if rest, ok := strings.CutPrefix(words, "."); ok {
		return strings.TrimSpace(rest)
	}
	return "Answers " + strings.TrimLeft(words, ": ")
}

// wireNames replaces the names of a struct's fields, as its comments have
// them, by the names that clients see, each put into mark.
func wireNames(words string, t reflect.Type, mark func(string) string) string {
	names := map[string]string{}
	for _, f := range reflect.VisibleFields(t) {
		names[f.Name], _, _ = strings.Cut(f.Tag.Get("json"), ",")
	}
	var out strings.Builder
	rest := words
	for rest != "" {
		i := strings.IndexFunc(rest, isLetter)
		if i < 0 {
			break
		}
		out.WriteString(rest[:i])
		rest = rest[i:]
		end := strings.IndexFunc(rest, func(r rune) bool { return !isLetter(r) })
		if end < 0 {
			end = len(rest)
		}
		word := rest[:end]
		if wire, ok := names[word]; ok {
			word = mark(wire)
		}
		out.WriteString(word)
		rest = rest[end:]
	}
	return out.String() + rest
}

func isLetter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}
