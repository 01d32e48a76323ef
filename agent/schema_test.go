package agent

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
	"qemu-ga/agent/qapi"
)

// TestTableIsQEMUsSchema holds every row of the table, and every member of
// its structs, against what QEMU says the protocol is.
func TestTableIsQEMUsSchema(t *testing.T) {
	s := readSchema(t)
	require.Len(t, s.commands, 43, "the commands that qemu-ga 11.1 has on Linux")
	for _, c := range table() {
		if strings.HasPrefix(c.Name, "x-") {
			continue
		}
		want, known := s.commands[c.Name]
		require.True(t, known, "QEMU has no command %s", c.Name)
		delete(s.commands, c.Name)
		t.Run(c.Name, func(t *testing.T) {
			s.members(t, c.Name, s.data(want), c.Args)
			require.Equal(t, want["success-response"] == false, c.is(silent))
			returns, ok := want["returns"]
			if !ok {
				returns = map[string]any{}
			}
			s.same(t, c.Name+" returns", returns, c.Returns)
		})
	}
	require.Empty(t, slices.Collect(maps.Keys(s.commands)), "these are missing")
}

// data returns the members that an expression names.
func (s *schema) data(e map[string]any) map[string]any {
	data, _ := e["data"].(map[string]any)
	return data
}

// members compares the members of a struct.
func (s *schema) members(t *testing.T, where string, want map[string]any, got reflect.Type) {
	t.Helper()
	want = maps.Clone(want)
	for _, f := range reflect.VisibleFields(got) {
		tag, ok := f.Tag.Lookup("json")
		require.True(t, ok, "%s.%s", where, f.Name)
		name, options, _ := strings.Cut(tag, ",")
		optional := options != "" || f.Type.Kind() == reflect.Pointer
		if strings.HasPrefix(name, "x-") {
			require.True(t, optional, "%s.%s is ours and must be optional", where, name)
			continue
		}
		key := name
		if optional {
			key = "*" + name
		}
		kind, known := want[key]
		require.True(t, known, "%s: QEMU has no member %s", where, key)
		delete(want, key)
		s.same(t, where+"."+name, kind, f.Type)
	}
	if where == "guest-get-users returns[]" {
		delete(want, "*domain") // of Windows alone
	}
	require.Empty(t, slices.Collect(maps.Keys(want)), "%s lacks members", where)
}

// same compares a type of the schema with a Go type.
func (s *schema) same(t *testing.T, where string, want any, got reflect.Type) {
	t.Helper()
	if got.Kind() == reflect.Pointer {
		got = got.Elem()
	}
	switch want := want.(type) {
	case map[string]any:
		s.members(t, where, want, got)
		return
	case []any:
		require.Equal(t, reflect.Slice, got.Kind(), where)
		s.same(t, where+"[]", want[0], got.Elem())
		return
	}
	switch name := want.(string); {
	case name == "str":
		isText := got.Kind() == reflect.String && !got.Implements(reflect.TypeFor[qapi.Enum]())
		require.True(t, isText || got == reflect.TypeFor[qapi.Base64](), "%s is a %v", where, got)
	case name == "int":
		require.Contains(t, []reflect.Kind{reflect.Int, reflect.Int64}, got.Kind(), where)
	case name == "uint64":
		require.Equal(t, reflect.Uint64, got.Kind(), where)
	case name == "number":
		require.Equal(t, reflect.Float64, got.Kind(), where)
	case name == "bool":
		require.Equal(t, reflect.Bool, got.Kind(), where)
	case s.alternates[name] != nil:
		s.alternate(t, where, name, got)
	case s.enums[name] != nil:
		require.Equal(t, reflect.String, got.Kind(), where)
		if enum, ok := reflect.TypeAssert[qapi.Enum](reflect.Zero(got)); ok {
			require.Equal(t, s.enums[name], enum.Members(), where)
			return
		}
		require.Contains(t, returned, name, where)
		require.Subset(t, s.enums[name], returned[name], where)
	case s.unions[name] != nil:
		s.members(t, where, s.union(s.unions[name]), got)
	default:
		require.Contains(t, s.structs, name, where)
		s.members(t, where, s.data(s.structs[name]), got)
	}
}

// returned are the values of enumerations that are returned as texts.
var returned = map[string][]string{
	"GuestFsfreezeStatus":          {"thawed", "frozen"},
	"GuestIpAddressType":           {"ipv4", "ipv6"},
	"GuestMemoryBlockResponseType": {"success", "not-found", "operation-not-supported", "operation-failed"},
	"GuestCpuStatsType":            {"linux"},
	"GuestDiskBusType": {
		guest.BusUnknown, guest.BusVirtio, guest.BusSCSI, guest.BusIDE, guest.BusSATA, guest.BusNVMe, guest.BusUSB,
	},
}

// alternate compares an alternate and its branches with a Go type.
func (s *schema) alternate(t *testing.T, where, name string, got reflect.Type) {
	t.Helper()
	alternate, ok := reflect.TypeAssert[qapi.Alternate](reflect.New(got))
	require.True(t, ok, "%s is no alternate", where)
	require.Equal(t, name, alternate.QAPIType(), where)
	kinds := map[qapi.Kind]any{}
	for _, branch := range s.alternates[name] {
		kind := qapi.String
		switch branch {
		case "bool":
			kind = qapi.Bool
		case "int":
			kind = qapi.Number
		}
		kinds[kind] = branch
	}
	for _, kind := range []qapi.Kind{qapi.Null, qapi.Bool, qapi.Number, qapi.String, qapi.Array, qapi.Object} {
		dst := alternate.Branch(kind)
		require.Equal(t, kinds[kind] != nil, dst != nil, "%s: %v", where, kind)
		if dst != nil {
			s.same(t, where, kinds[kind], reflect.TypeOf(dst).Elem())
		}
	}
}

// union returns the members of a union that has one branch: those of its base
// and of the branch.
func (s *schema) union(u map[string]any) map[string]any {
	members := maps.Clone(u["base"].(map[string]any))
	for _, branch := range s.data(u) {
		maps.Copy(members, s.data(s.structs[branch.(string)]))
	}
	return members
}
