package webadmin

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of an answer of the API: it is the Call Bridge's, but it holds what clients stored.
const (
	maxAnswer = 8 << 20
	maxDepth  = 16
)

// node is one element of an answer.
type node struct {
	Name       string
	Text       string
	Attributes map[string]string
	Nodes      []*node
}

// parseNode reads one XML document.
func parseNode(r io.Reader) (*node, error) {
	limited := &io.LimitedReader{R: r, N: maxAnswer}
	d := xml.NewDecoder(limited)
	var root *node
	var open []*node
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			if limited.N <= 0 {
				return nil, fmt.Errorf("read answer: larger than %d bytes", maxAnswer)
			}
			return nil, fmt.Errorf("read answer: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			n := &node{Name: t.Name.Local}
			for _, a := range t.Attr {
				if n.Attributes == nil {
					n.Attributes = map[string]string{}
				}
				n.Attributes[a.Name.Local] = a.Value
			}
			switch {
			case len(open) >= maxDepth:
				return nil, fmt.Errorf("read answer: more than %d levels", maxDepth)
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.Nodes = append(parent.Nodes, n)
			case root != nil:
				return nil, errors.New("read answer: two documents")
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].Text += string(t)
			}
		}
	}
	if root == nil {
		return nil, errors.New("read answer: empty")
	}
	root.trim()
	return root, nil
}

// trim removes the white space between elements, and none of a value.
func (n *node) trim() {
	if len(n.Nodes) > 0 {
		n.Text = strings.TrimSpace(n.Text)
	}
	for _, c := range n.Nodes {
		c.trim()
	}
}

// at is the element at a path of names, nil when there is none. A nil node has no elements, so that calls can be chained.
func (n *node) at(path ...string) *node {
	for _, name := range path {
		if n == nil {
			return nil
		}
		var next *node
		for _, c := range n.Nodes {
			if c.Name == name {
				next = c
				break
			}
		}
		n = next
	}
	return n
}

// Get is the text of the element at a path, "" when there is none.
func (n *node) Get(path ...string) string {
	if n = n.at(path...); n == nil {
		return ""
	}
	return n.Text
}

// ID is the attribute by which objects are named.
func (n *node) ID() string { return n.Attributes["id"] }

// number is the text of an element as one, 0 when it is none.
func (n *node) number(path ...string) int64 {
	v, _ := strconv.ParseInt(n.Get(path...), 10, 64)
	return v
}

// total is how many objects a list has in all.
func (n *node) total() int {
	v, err := strconv.Atoi(n.Attributes["total"])
	if err != nil || v < 0 {
		return len(n.Nodes)
	}
	return v
}
