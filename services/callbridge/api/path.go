package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// anyID is the segment of a pattern that stands for an ID.
const anyID = "{id}"

// maxPath bounds the path of a request; the longest of ours has 150 bytes.
const maxPath = 1024

// node is a place in the tree of paths. The tree is complete before the first request and then read only.
type node struct {
	// name is the segment as we spell it.
	name     string
	children map[string]*node
	// id is the node of any ID, and object the type whose IDs are looked up there.
	id     *node
	object *schema.Object
	routes map[string]*route
}

type route struct {
	handler Handler
	// alone needs no database.
	alone bool
	// json takes a document of JSON.
	json bool
}

// at returns the node of a pattern, made where there is none.
func (n *node) at(pattern string) *node {
	for segment := range strings.SplitSeq(pattern, "/") {
		if segment == anyID {
			if n.id == nil {
				n.id = &node{name: anyID}
			}
			n = n.id
			continue
		}
		next := n.children[fold(segment)]
		if next == nil {
			next = &node{name: segment}
			if n.children == nil {
				n.children = map[string]*node{}
			}
			n.children[fold(segment)] = next
		}
		n = next
	}
	return n
}

func (n *node) handle(method string, r *route) {
	if n.routes == nil {
		n.routes = map[string]*route{}
	}
	n.routes[method] = r
}

// allow lists the methods of a place for the header of that name.
func (n *node) allow() string {
	var methods []string
	for m := range n.routes {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// find returns the place of a request's path: below /api/v1, or below /internal for the admin pages, whose own objects (schema's
// Page) are no part of the API.
func (s *Server) find(c *Call, path string, front bool) (*node, error) {
	if len(path) > maxPath {
		return nil, NotFound{failure.UnrecognizedObject}
	}
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	switch {
	case len(segments) > 1 && segments[0] == "internal" && front:
		return s.pages.find(c, segments[1:])
	case len(segments) < 2 || fold(segments[0]) != "api":
		return nil, NotFound{failure.UnrecognizedObject}
	case fold(segments[1]) != "v1":
		return nil, NotFound{failure.InvalidVersion}
	}
	return s.root.find(c, segments[2:])
}

// find walks down a path. It fills in the call's IDs and Path; what an ID names exists in the store.
func (n *node) find(c *Call, segments []string) (*node, error) {
	var names []string
	for _, segment := range segments {
		if next := n.children[fold(segment)]; next != nil {
			n, names = next, append(names, next.name)
			continue
		}
		if n.id == nil {
			return nil, NotFound{failure.UnrecognizedObject}
		}
		n = n.id
		id, err := n.resolve(c, segment)
		if err != nil {
			return nil, err
		}
		c.IDs = append(c.IDs, id)
		names = append(names, id.String())
	}
	if n.routes == nil {
		return nil, NotFound{failure.UnrecognizedObject}
	}
	c.Path = strings.Join(names, "/")
	return n, nil
}

// resolve reads the ID of a path, of an object that is there.
func (n *node) resolve(c *Call, segment string) (store.ID, error) {
	code := failure.UnrecognizedObject
	if n.object != nil {
		code = failure.Code(missingCode(n.object))
	}
	id, ok := store.ParseID(segment)
	if !ok {
		return id, NotFound{code}
	}
	if n.object == nil || n.object.Live {
		return id, nil
	}
	if c.store == nil {
		return id, Busy{failure.DatabaseNotReady, 5 * time.Second}
	}
	r := c.store.Get(n.object, id)
	if r == nil || n.object.Parent != nil && (len(c.IDs) == 0 || r.Parent() != c.IDs[len(c.IDs)-1]) {
		return id, NotFound{code}
	}
	return id, nil
}
