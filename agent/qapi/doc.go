// Package qapi is the wire form of QEMU's guest agent: requests found in a
// byte stream, arguments decoded strictly into Go structs, replies encoded
// from them. It needs the standard library alone and knows no command.
//
// # Requests
//
// A [Decoder] finds JSON values as qemu-ga 11.1 does. Beyond RFC 8259 strings
// may stand in single quotes and hold the escape \'; short of it they hold no
// control characters and no code points that are not characters, and a key
// occurs once in an object. Requests need no line end. Text is modified
// UTF-8: U+0000 is held as the bytes C0 80.
//
// Each fault in the input is one error to be answered, and has one way back:
//
//   - a byte that no token allows there (a lexical fault) ends the request.
//     What follows is skipped up to a bracket, brace, colon, comma, control
//     character other than tab, or the bytes FE and FF, and read afresh from
//     there. So FF resynchronises the stream wherever it stands;
//   - a token that the grammar does not allow there, a bad escape, or a limit
//     exceeded drops the input, silently, until the brackets and braces that
//     are open are closed, or one that is not open is, or a lexical fault.
//
// [ParseRequest] checks the envelope and [Request.Decode] the arguments. The
// words of these errors are QEMU's, as clients may know them.
//
// # Types
//
// A command's arguments and reply are Go structs whose fields have json tags.
// The struct is the schema: to add a member, add a field. Optional members
// have omitzero, omitempty or a pointer type. [Enum], [Alternate] and
// [Base64] stand for what Go has no type for.
//
// # Memory
//
// A request is held once: the text of its strings and numbers, and 12 bytes
// for each value and key. Small requests share slabs; a large one's memory is
// its own and goes with it. Replies are never held as a whole.
package qapi
