/* Mailbox: see mailbox.py for the rules. Ordinary messages stand in one ring, urgent ones in another before it. */
#include "native.h"

#define TAKEN_MEANWHILE "a pattern has taken messages out of the mailbox that it looks at: it may only look at them"

static PyObject *
mailbox_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Mailbox *self = (Mailbox *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->limit = PY_SSIZE_T_MAX;
    }
    return (PyObject *)self;
}

static int
mailbox_traverse(Mailbox *self, visitproc visit, void *arg)
{
    int stopped = ring_visit(&self->ordinary, visit, arg);
    stopped = stopped ? stopped : ring_visit(&self->urgent, visit, arg);
    Py_VISIT(self->fresh);
    return stopped;
}

static int
mailbox_clear(Mailbox *self)
{
    ring_clear(&self->ordinary);
    ring_clear(&self->urgent);
    Py_CLEAR(self->fresh);
    return 0;
}

static void
mailbox_dealloc(Mailbox *self)
{
    PyObject_GC_UnTrack(self);
    mailbox_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The ordinary message at `index` is taken out; what is remembered about places moves with it. */
static PyObject *
take_ordinary(Mailbox *self, Py_ssize_t index)
{
    if (index < self->older) {
        self->older--;
    }
    if (index < self->looked) {
        self->looked--;
    }
    return ring_remove(&self->ordinary, index);
}

static PyObject *
take_urgent(Mailbox *self, Py_ssize_t index)
{
    if (index < self->looked_urgent) {
        self->looked_urgent--;
    }
    return ring_remove(&self->urgent, index);
}

PyObject *
mailbox_take_first(Mailbox *self)
{
    if (self->urgent.len) {
        return take_urgent(self, 0);
    }
    return self->ordinary.len ? take_ordinary(self, 0) : NULL;
}

/* Only references are compared: the code of a message's own must not hurt who waits. */
static int
is_that(PyObject *carried, PyObject *ref)
{
    return carried == ref ? 1 : Py_IS_TYPE(carried, &RefType) ? PyObject_RichCompareBool(carried, ref, Py_EQ) : 0;
}

static int
carries(PyObject *message, PyObject *ref)
{
    if (PyTuple_Check(message)) {
        return PyTuple_GET_SIZE(message) ? is_that(PyTuple_GET_ITEM(message, 0), ref) : 0;
    }
    PyObject *carried = PyObject_GetAttrString(message, "ref");
    if (carried == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    int equal = is_that(carried, ref);
    Py_DECREF(carried);
    return equal;
}

static int
matches(PyObject *message, const Wanted *wanted)
{
    switch (wanted->kind) {
    case ANY:
        return 1;
    case INSTANCE:
        return (PyObject *)Py_TYPE(message) == wanted->what ? 1 : PyObject_IsInstance(message, wanted->what);
    case CARRIES:
        return carries(message, wanted->what);
    default: {
        PyObject *answer = PyObject_CallOneArg(wanted->what, message);
        int found = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
        return found;
    }
    }
}

/* The index of the first match from `start` on; -1 where there is none, -2 with an exception. A pattern is the user's
 * code: it may send to this very mailbox meanwhile, but take nothing out. */
static Py_ssize_t
find(const Ring *ring, Py_ssize_t start, const Wanted *wanted)
{
    for (Py_ssize_t i = start; i < ring->len; i++) {
        PyObject *message = Py_NewRef(ring_at(ring, i));
        int found = matches(message, wanted);
        if (found >= 0 && (i >= ring->len || ring_at(ring, i) != message)) {
            PyErr_SetString(PyExc_RuntimeError, TAKEN_MEANWHILE);
            found = -1;
        }
        Py_DECREF(message);
        if (found) {
            return found < 0 ? -2 : i;
        }
    }
    return -1;
}

static PyObject *
take_from(Mailbox *self, Py_ssize_t urgent_from, Py_ssize_t ordinary_from, const Wanted *wanted)
{
    do {
        Py_ssize_t found = find(&self->urgent, urgent_from, wanted);
        if (found != -1) {
            return found < 0 ? NULL : take_urgent(self, found);
        }
        urgent_from = self->urgent.len;
        found = find(&self->ordinary, ordinary_from, wanted);
        if (found != -1) {
            return found < 0 ? NULL : take_ordinary(self, found);
        }
        ordinary_from = self->ordinary.len;
    } while (self->urgent.len != urgent_from); /* an urgent one has come by what the pattern did */
    self->looked_urgent = urgent_from;
    self->looked = ordinary_from;
    return NULL;
}

PyObject *
mailbox_take(Mailbox *self, const Wanted *wanted)
{
    bool fresh = wanted->kind == CARRIES && self->fresh != NULL && wanted->what == self->fresh;
    return take_from(self, 0, fresh ? self->older : 0, wanted);
}

PyObject *
mailbox_take_new(Mailbox *self, const Wanted *wanted)
{
    return take_from(self, self->looked_urgent, self->looked, wanted);
}

void
mailbox_mark(Mailbox *self, PyObject *ref)
{
    Py_XSETREF(self->fresh, Py_NewRef(ref));
    self->older = self->ordinary.len;
}

/* What a pattern stands for; the reference stays the caller's. -1 with TypeError. */
int
wanted_from(PyObject *pattern, Wanted *wanted)
{
    wanted->what = pattern;
    if (pattern == Py_None) {
        wanted->kind = ANY;
    }
    else if (Py_IS_TYPE(pattern, &RefType)) {
        wanted->kind = CARRIES;
    }
    else if (PyType_Check(pattern) || PyTuple_Check(pattern) || (PyObject *)Py_TYPE(pattern) == union_type) {
        wanted->kind = INSTANCE;
    }
    else if (PyCallable_Check(pattern) && !PyObject_HasAttrString(pattern, "__origin__")) {
        wanted->kind = PREDICATE; /* list[int] and typing.Union are callable, too */
    }
    else {
        PyErr_Format(PyExc_TypeError, "receive takes a type, a Ref or a predicate, not %R", pattern);
        return -1;
    }
    return 0;
}

/* -- what Python sees */

static PyObject *
or_missing(PyObject *message)
{
    if (message == NULL && !PyErr_Occurred()) {
        return Py_NewRef(missing);
    }
    return message;
}

static PyObject *
mailbox_append(Mailbox *self, PyObject *message)
{
    if (ring_push(&self->ordinary, message) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
mailbox_append_urgent(Mailbox *self, PyObject *message)
{
    if (ring_push(&self->urgent, message) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
mailbox_extend(Mailbox *self, PyObject *messages)
{
    PyObject *sequence = PySequence_Fast(messages, "a mailbox is extended by a list of messages");
    if (sequence == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++) {
        if (ring_push(&self->ordinary, PySequence_Fast_GET_ITEM(sequence, i)) < 0) {
            Py_DECREF(sequence);
            return NULL;
        }
    }
    Py_DECREF(sequence);
    Py_RETURN_NONE;
}

static PyObject *
mailbox_py_mark(Mailbox *self, PyObject *ref)
{
    mailbox_mark(self, ref);
    Py_RETURN_NONE;
}

static PyObject *
mailbox_py_take_first(Mailbox *self, PyObject *Py_UNUSED(ignored))
{
    return or_missing(mailbox_take_first(self));
}

static PyObject *
mailbox_py_take(Mailbox *self, PyObject *pattern)
{
    Wanted wanted;
    return wanted_from(pattern, &wanted) < 0 ? NULL : or_missing(mailbox_take(self, &wanted));
}

static PyObject *
mailbox_py_take_new(Mailbox *self, PyObject *pattern)
{
    Wanted wanted;
    return wanted_from(pattern, &wanted) < 0 ? NULL : or_missing(mailbox_take_new(self, &wanted));
}

/* For whoever is not the receive that waits: how far that has looked is left alone. */
static PyObject *
mailbox_flush(Mailbox *self, PyObject *pattern)
{
    Py_ssize_t looked = self->looked, looked_urgent = self->looked_urgent;
    PyObject *message = mailbox_py_take(self, pattern);
    if (message == missing) {
        self->looked = looked;
        self->looked_urgent = looked_urgent;
    }
    return message;
}

static int
append_all(PyObject *list, const Ring *ring)
{
    for (Py_ssize_t i = 0; i < ring->len; i++) {
        if (PyList_Append(list, ring_at(ring, i)) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
mailbox_messages(Mailbox *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *list = PyList_New(0); /* empty: to make it can start the garbage collector, and that any code */
    if (list == NULL || append_all(list, &self->urgent) < 0 || append_all(list, &self->ordinary) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

static Py_ssize_t
mailbox_length(Mailbox *self)
{
    return self->urgent.len + self->ordinary.len;
}

static PyMethodDef mailbox_methods[] = {
    {"append", (PyCFunction)mailbox_append, METH_O, NULL},
    {"append_urgent", (PyCFunction)mailbox_append_urgent, METH_O, NULL},
    {"extend", (PyCFunction)mailbox_extend, METH_O, NULL},
    {"mark", (PyCFunction)mailbox_py_mark, METH_O, NULL},
    {"take_first", (PyCFunction)mailbox_py_take_first, METH_NOARGS, NULL},
    {"take", (PyCFunction)mailbox_py_take, METH_O, NULL},
    {"take_new", (PyCFunction)mailbox_py_take_new, METH_O, NULL},
    {"flush", (PyCFunction)mailbox_flush, METH_O, NULL},
    {"messages", (PyCFunction)mailbox_messages, METH_NOARGS, NULL},
    {NULL},
};

static PyMemberDef mailbox_members[] = {
    {"limit", T_PYSSIZET, offsetof(Mailbox, limit), 0, "How many messages may wait before senders must look closer."},
    {NULL},
};

static PySequenceMethods mailbox_as_sequence = {.sq_length = (lenfunc)mailbox_length};

PyTypeObject MailboxType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist.mailbox.Mailbox",
    .tp_doc = "The queue of one process: see the class in mailbox.py.",
    .tp_basicsize = sizeof(Mailbox),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = mailbox_new,
    .tp_dealloc = (destructor)mailbox_dealloc,
    .tp_traverse = (traverseproc)mailbox_traverse,
    .tp_clear = (inquiry)mailbox_clear,
    .tp_methods = mailbox_methods,
    .tp_members = mailbox_members,
    .tp_as_sequence = &mailbox_as_sequence,
};
