/* receive: see messaging.py. */
#include "native.h"

static PyObject *str_timers, *str_arm, *str_time, *str_when;

/* What `receive` returns, to be awaited. The one for any message without a timeout has no state, and there is one. */
typedef struct {
    PyObject_HEAD
    PyObject *pattern;
    PyObject *timeout;
    Wanted wanted;
    TaskState *armed; /* the process whose deadline is set for this receive, or NULL */
    bool awaited;     /* somebody is at it: whoever else awaits it gets one of their own */
    bool waits;       /* it has looked at all that was there */
} Receive;

static Receive *any_message;

static int
receive_traverse(Receive *self, visitproc visit, void *arg)
{
    Py_VISIT(self->pattern);
    Py_VISIT(self->timeout);
    Py_VISIT(self->armed);
    return 0;
}

static void
disarm(Receive *self)
{
    TaskState *process = self->armed;
    if (process != NULL) {
        self->armed = NULL;
        process->deadline = Py_HUGE_VAL;
        process->timed_out = 0;
        Py_DECREF(process);
    }
}

static void
receive_dealloc(Receive *self)
{
    PyObject_GC_UnTrack(self);
    disarm(self);
    Py_CLEAR(self->pattern);
    Py_CLEAR(self->timeout);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PySendResult
yield(PyObject *what, PyObject **result)
{
    *result = Py_NewRef(what);
    return PYGEN_NEXT;
}

/* Whether an entry of the timers fires no later than in `timeout` seconds: then to set the deadline is all there is to
 * do, as Timers.arm has it. */
static bool
is_covered(TaskState *process, double timeout)
{
    PyObject *time = PyObject_CallMethodNoArgs(running->loop, str_time);
    PyObject *when = time == NULL ? NULL : PyObject_GetAttr(process->timer, str_when);
    bool covered = false;
    if (when != NULL) {
        double deadline = PyFloat_AsDouble(time) + timeout;
        covered = PyFloat_AsDouble(when) <= deadline && !PyErr_Occurred();
        if (covered) {
            process->deadline = deadline;
        }
    }
    Py_XDECREF(time);
    Py_XDECREF(when);
    return covered;
}

/* Have the process woken at its deadline. -1 with TimeoutError where there is no time to wait. */
static int
arm(Receive *self, TaskState *process)
{
    if (!PyFloat_Check(self->timeout) && !PyLong_Check(self->timeout)) {
        PyErr_Format(PyExc_TypeError, "a timeout is a number of seconds or None, not %R", self->timeout);
        return -1;
    }
    double timeout = PyFloat_AsDouble(self->timeout);
    if (timeout == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (timeout <= 0) {
        PyErr_SetString(PyExc_TimeoutError, "no message is there");
        return -1;
    }
    if (timeout != timeout) {
        PyErr_SetString(PyExc_ValueError, "a timeout is a number of seconds or None, not nan");
        return -1;
    }
    self->armed = (TaskState *)Py_NewRef(process);
    if (timeout == Py_HUGE_VAL) {
        return 0;
    }
    if (process->timer != Py_None && is_covered(process, timeout)) {
        return 0;
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    PyObject *timers = PyObject_GetAttr(process->home, str_timers);
    if (timers == NULL) {
        return -1;
    }
    PyObject *armed = PyObject_CallMethodObjArgs(timers, str_arm, process, self->timeout, NULL);
    Py_DECREF(timers);
    Py_XDECREF(armed);
    return armed == NULL ? -1 : 0;
}

/* The end of one await: the same object may be awaited again. */
static void
end_await(Receive *self)
{
    disarm(self);
    self->awaited = self->waits = false;
}

/* A StopIteration out of a pattern would be taken for the end of the await: it becomes what a generator makes of it. */
static void
mask_stop(void)
{
    PyObject *stop = take_exception();
    PyErr_SetString(PyExc_RuntimeError, "generator raised StopIteration");
    PyObject *error = take_exception();
    PyException_SetCause(error, stop);
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

static PySendResult
finished(Receive *self, PyObject *message, PyObject **result)
{
    end_await(self);
    *result = message;
    if (message != NULL) {
        return PYGEN_RETURN;
    }
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        mask_stop();
    }
    return PYGEN_ERROR;
}

/* Let others have their turn; go no further if an exit signal has come. */
static PySendResult
interrupted(TaskState *process, PyObject **result)
{
    if (process->dying) {
        return yield(park, result);
    }
    process->spent += REDUCTIONS;
    process->reductions = REDUCTIONS + 1; /* it is counted when it looks again */
    return yield(next_turn, result);
}

/* Any message, without a timeout: to look again is to look first, so there is nothing to remember. */
static PySendResult
receive_any(TaskState *process, PyObject **result)
{
    if (--process->reductions <= 0) {
        return interrupted(process, result);
    }
    *result = mailbox_take_first((Mailbox *)process->mailbox);
    if (*result != NULL) {
        return PYGEN_RETURN;
    }
    process->reductions++; /* it is counted when it looks again */
    return yield(park, result);
}

/* The first look, at all that is there. */
static PySendResult
look(Receive *self, TaskState *process, PyObject **result)
{
    if (--process->reductions <= 0) {
        return interrupted(process, result);
    }
    if (wanted_from(self->pattern, &self->wanted) < 0) {
        return finished(self, NULL, result);
    }
    PyObject *message = mailbox_take((Mailbox *)process->mailbox, &self->wanted);
    if (message != NULL || PyErr_Occurred() || (self->timeout != Py_None && arm(self, process) < 0)) {
        return finished(self, message, result);
    }
    self->waits = true;
    return yield(park, result);
}

static PySendResult
receive_send(Receive *self, PyObject *Py_UNUSED(value), PyObject **result)
{
    TaskState *process = current_state();
    *result = NULL;
    if (process == NULL) {
        return PYGEN_ERROR;
    }
    if (self == any_message) {
        return receive_any(process, result);
    }
    if (!self->waits) {
        return look(self, process, result);
    }
    PyObject *message = mailbox_take_new((Mailbox *)process->mailbox, &self->wanted);
    if (message == NULL && !PyErr_Occurred()) {
        if (!process->timed_out) {
            return yield(park, result);
        }
        PyErr_Format(PyExc_TimeoutError, "no message within %S s", self->timeout);
    }
    return finished(self, message, result);
}

static PyObject *receive_for(PyObject *pattern, PyObject *timeout);

static PyObject *
receive_await(Receive *self)
{
    if (self->awaited) {
        return receive_for(self->pattern, self->timeout);
    }
    self->awaited = self != any_message;
    return Py_NewRef((PyObject *)self);
}

/* For whoever drives a coroutine without am_send: a tracer, or an awaitable in Python around this one. */
static PyObject *
receive_next(Receive *self)
{
    PyObject *result;
    PySendResult sent = receive_send(self, Py_None, &result);
    if (sent != PYGEN_RETURN) {
        return result;
    }
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    Py_DECREF(result);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static PyObject *
receive_py_send(Receive *self, PyObject *Py_UNUSED(value))
{
    return receive_next(self);
}

static PyObject *
receive_throw(Receive *self, PyObject *const *args, Py_ssize_t nargs)
{
    TaskState *process = running == NULL ? NULL : (TaskState *)running->current;
    if (self == any_message && process != NULL && !process->dying) {
        process->reductions--; /* a wait in vain is counted, too: see receive_any */
    }
    end_await(self);
    if (nargs == 1 && PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
    }
    else if (nargs >= 1 && PyExceptionClass_Check(args[0])) {
        PyErr_SetObject(args[0], nargs > 1 ? args[1] : Py_None);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "throw takes an exception");
    }
    return NULL;
}

static PyObject *
receive_close(Receive *self, PyObject *Py_UNUSED(ignored))
{
    end_await(self);
    Py_RETURN_NONE;
}

static PyAsyncMethods receive_as_async = {.am_await = (unaryfunc)receive_await, .am_send = (sendfunc)receive_send};

static PyMethodDef receive_methods[] = {
    {"send", (PyCFunction)receive_py_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))receive_throw, METH_FASTCALL, NULL},
    {"close", (PyCFunction)receive_close, METH_NOARGS, NULL},
    {NULL},
};

PyTypeObject ReceiveType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist.messaging.Receive",
    .tp_doc = "What receive() returns: await it.",
    .tp_basicsize = sizeof(Receive),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_dealloc = (destructor)receive_dealloc,
    .tp_traverse = (traverseproc)receive_traverse,
    .tp_as_async = &receive_as_async,
    .tp_iter = (getiterfunc)receive_await,
    .tp_iternext = (iternextfunc)receive_next,
    .tp_methods = receive_methods,
};

static PyObject *
receive_for(PyObject *pattern, PyObject *timeout)
{
    if (pattern == Py_None && timeout == Py_None && any_message != NULL) {
        return Py_NewRef((PyObject *)any_message);
    }
    Receive *self = PyObject_GC_New(Receive, &ReceiveType);
    if (self == NULL) {
        return NULL;
    }
    self->pattern = Py_NewRef(pattern);
    self->timeout = Py_NewRef(timeout);
    self->armed = NULL;
    self->awaited = self->waits = false;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* Up to two arguments, by place or by name; -1 with TypeError where they don't fit. */
static int
two_arguments(const char *const names[2], PyObject *given[2], PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t keywords = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    bool fits = nargs <= 2;
    for (Py_ssize_t i = 0; fits && i < nargs; i++) {
        given[i] = args[i];
    }
    for (Py_ssize_t i = 0; fits && i < keywords; i++) {
        fits = false;
        for (Py_ssize_t place = nargs; place < 2; place++) {
            if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i), names[place]) == 0) {
                given[place] = args[nargs + i];
                fits = true;
            }
        }
    }
    if (!fits) {
        PyErr_Format(PyExc_TypeError, "receive() takes %s and %s, each once at most", names[0], names[1]);
        return -1;
    }
    return 0;
}

PyObject *
native_receive(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[2] = {"pattern", "timeout"};
    PyObject *given[2] = {Py_None, Py_None};
    return two_arguments(names, given, args, nargs, kwnames) < 0 ? NULL : receive_for(given[0], given[1]);
}

int
receive_ready(void)
{
    str_timers = PyUnicode_InternFromString("timers");
    str_arm = PyUnicode_InternFromString("arm");
    str_time = PyUnicode_InternFromString("time");
    str_when = PyUnicode_InternFromString("when");
    if (PyErr_Occurred() || PyType_Ready(&ReceiveType) < 0) {
        return -1;
    }
    any_message = (Receive *)receive_for(Py_None, Py_None);
    return any_message == NULL ? -1 : 0;
}
