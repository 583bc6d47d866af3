// Package copying brings all of a database to a client, at one revision and as fast as the disk is read: how a Call Bridge fills its copy
// in memory when it starts. It is a stream of gRPC beside those of etcd, on the same connection.
//
// A range of etcd's looks each key up in its index, and makes and takes apart a message of every value, which for 900,000 objects takes
// the longest part of a start. Here the database file is read from front to back, and what stands in it goes out as it is.
//
// # What is sent
//
// First the revision, as eight bytes. Then batches of entries in the order in which they were written: each a length with the lowest bit
// set for a deletion, as a varint, and a KeyValue of etcd's. An object that was written several times of late comes several times, and the
// last one counts. A stream that breaks off ends with an error.
//
// A database without it (of an older version, in a cluster) answers with Unimplemented, and the client takes a range instead.
package copying

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	service = "rotunda.database.Copying"
	method  = "Copy"
	// BatchSize is about how many bytes of entries go into a batch: enough that a message costs nothing beside its content.
	BatchSize = 256 << 10
	// mostBytes bounds what a client takes at once: a batch ends with an entry, and an entry is at most a transaction.
	mostBytes = 16 << 20
)

// Source sends everything at one revision.
type Source func(ctx context.Context, revision func(int64) error, batch func([]byte) error) error

// Register offers a source to the clients of a server that does not serve yet.
func Register(s *grpc.Server, from Source) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: method, ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
					return err
				}
				send := func(b []byte) error { return stream.SendMsg(wrapperspb.Bytes(b)) }
				return from(stream.Context(), func(revision int64) error {
					return send(binary.BigEndian.AppendUint64(nil, uint64(revision)))
				}, send)
			},
		}},
	}, nil)
}

// Stream is a copy on its way.
type Stream struct {
	// Revision is the one that it is of.
	Revision int64
	stream   grpc.ClientStream
}

// ErrUnknown means that the database has no such stream.
var ErrUnknown = errors.New("the database has no stream of everything")

// Open asks for everything. The stream ends with the context.
func Open(ctx context.Context, c grpc.ClientConnInterface) (*Stream, error) {
	raw, err := c.NewStream(ctx, &grpc.StreamDesc{StreamName: method, ServerStreams: true}, "/"+service+"/"+method,
		grpc.MaxCallRecvMsgSize(mostBytes))
	if err != nil {
		return nil, err
	}
	if err := raw.SendMsg(&emptypb.Empty{}); err != nil {
		return nil, err
	}
	if err := raw.CloseSend(); err != nil {
		return nil, err
	}
	s := &Stream{stream: raw}
	first, err := s.Next()
	switch {
	case status.Code(err) == codes.Unimplemented:
		return nil, ErrUnknown
	case err != nil:
		return nil, err
	case len(first) != 8:
		return nil, fmt.Errorf("the database's stream begins with %d bytes instead of a revision", len(first))
	}
	s.Revision = int64(binary.BigEndian.Uint64(first))
	return s, nil
}

// Next is the next batch, which is the caller's; io.EOF after the last.
func (s *Stream) Next() ([]byte, error) {
	var m wrapperspb.BytesValue
	if err := s.stream.RecvMsg(&m); err != nil {
		return nil, err
	}
	return m.Value, nil
}

// Entry is a key as it was written at a revision.
type Entry struct {
	// Key and Value are parts of the batch.
	Key, Value []byte
	Revision   int64
	// Gone means that the key was deleted; there is no value then, and no revision.
	Gone bool
}

// Append adds an entry to a batch: a KeyValue as it stands in the database file.
func Append(batch, keyValue []byte, gone bool) []byte {
	n := uint64(len(keyValue)) << 1
	if gone {
		n |= 1
	}
	return append(binary.AppendUvarint(batch, n), keyValue...)
}

// Each calls f with the entries of a batch until it returns false.
func Each(batch []byte, f func(Entry) bool) error {
	for len(batch) > 0 {
		n, size := binary.Uvarint(batch)
		if size <= 0 || n>>1 > uint64(len(batch)-size) {
			return errors.New("an entry of the database's stream is cut off")
		}
		end := size + int(n>>1)
		e, err := parse(batch[size:end:end])
		if err != nil {
			return err
		}
		e.Gone = n&1 != 0
		if !f(e) {
			return nil
		}
		batch = batch[end:]
	}
	return nil
}

// Fields of etcd's mvccpb.KeyValue.
const (
	fieldKey      = 1
	fieldRevision = 3
	fieldValue    = 5
)

// parse takes a KeyValue apart without copying it.
func parse(b []byte) (e Entry, err error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return e, fmt.Errorf("an entry of the database's stream: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case number == fieldKey && kind == protowire.BytesType:
			e.Key, n = protowire.ConsumeBytes(b)
		case number == fieldValue && kind == protowire.BytesType:
			e.Value, n = protowire.ConsumeBytes(b)
		case number == fieldRevision && kind == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			e.Revision = int64(v)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return e, fmt.Errorf("an entry of the database's stream: %w", protowire.ParseError(n))
		}
		b = b[n:]
	}
	return e, nil
}
