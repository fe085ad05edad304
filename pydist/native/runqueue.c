/* RunQueue: see scheduler.py. `run` is the loop that steps tasks; all that is rare goes back to Python's methods. */
#include "native.h"

_Thread_local RunQueue *running = NULL;

static PyObject *str_take_thrown, *str_throw, *str_close, *str_ended, *str_yielded, *str_raised;

static int
queue_init(RunQueue *self, PyObject *args, PyObject *kwargs)
{
    PyObject *loop;
    static char *names[] = {"loop", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &loop)) {
        return -1;
    }
    Py_XSETREF(self->loop, Py_NewRef(loop));
    return 0;
}

static int
queue_traverse(RunQueue *self, visitproc visit, void *arg)
{
    Py_VISIT(self->loop);
    Py_VISIT(self->current);
    return ring_visit(&self->ready, visit, arg);
}

static int
queue_clear(RunQueue *self)
{
    Py_CLEAR(self->loop);
    Py_CLEAR(self->current);
    ring_clear(&self->ready);
    return 0;
}

static void
queue_dealloc(RunQueue *self)
{
    PyObject_GC_UnTrack(self);
    queue_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Tell asyncio which task runs; None for no task of ours. */
static int
set_current(RunQueue *self, PyObject *task)
{
    if (current_tasks != NULL) { /* before Python 3.12: what _enter_task and _leave_task do, without their checks */
        if (task != Py_None) {
            return PyDict_SetItem(current_tasks, self->loop, task);
        }
        if (PyDict_DelItem(current_tasks, self->loop) < 0) {
            PyErr_Clear();
        }
        return 0;
    }
    PyObject *args[] = {self->loop, task};
    PyObject *before = PyObject_Vectorcall(swap_current_task, args, 2, NULL);
    Py_XDECREF(before);
    if (before == NULL && task == Py_None && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear(); /* 3.12: there was none to be taken away */
        return 0;
    }
    return before == NULL ? -1 : 0;
}

/* The task that asyncio takes for the current one, a new reference; None where none runs. */
static PyObject *
get_current(RunQueue *self)
{
    if (current_tasks == NULL) {
        return PyObject_CallOneArg(current_task, self->loop);
    }
    PyObject *task = PyDict_GetItemWithError(current_tasks, self->loop);
    return task == NULL && PyErr_Occurred() ? NULL : Py_NewRef(task == NULL ? Py_None : task);
}

PyObject *
take_exception(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* What a coroutine's method has come to, as PyIter_Send says it. */
static PySendResult
outcome_of(PyObject *yielded, PyObject **result)
{
    *result = yielded;
    if (yielded != NULL) {
        return PYGEN_NEXT;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return PYGEN_ERROR;
    }
    PyObject *stop = take_exception();
    *result = PyObject_GetAttrString(stop, "value");
    Py_DECREF(stop);
    return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

/* A step in which something may be to be thrown. */
static PySendResult
step_unusual(TaskState *task, PyObject *coroutine, PyObject **result)
{
    PyObject *thrown = PyObject_CallMethodNoArgs((PyObject *)task, str_take_thrown);
    if (thrown == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult sent = thrown == Py_None
                            ? PyIter_Send(coroutine, Py_None, result)
                            : outcome_of(PyObject_CallMethodOneArg(coroutine, str_throw, thrown), result);
    Py_DECREF(thrown);
    return sent;
}

static PySendResult
step(TaskState *task, PyObject **result)
{
    PyObject *context = task->context;
    if (PyContext_Enter(context) < 0) {
        return PYGEN_ERROR;
    }
    task->spent++;
    PyObject *coroutine = Py_NewRef(task->coroutine);
    PySendResult sent =
        task->unusual ? step_unusual(task, coroutine, result) : PyIter_Send(coroutine, Py_None, result);
    Py_DECREF(coroutine);
    return PyContext_Exit(context) < 0 ? PYGEN_ERROR : sent;
}

static int
done(PyObject *answer)
{
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

static bool
is_empty(const PyObject *table)
{
    return table == NULL || PyDict_GET_SIZE(table) == 0;
}

/* The coroutine has returned, only those who monitor it are to hear of it, and it holds nothing: Process.ended comes to
 * what end_plainly does. */
static bool
ends_plainly(const TaskState *task)
{
    if (task->over || task->dying || task->holding || task->callbacks != Py_None || task->timer != Py_None ||
        !PyObject_TypeCheck(task->home, &ProcessTableType)) {
        return false;
    }
    const RelationTables *relations = (RelationTables *)task->relations;
    return task->relations == Py_None || (is_empty(relations->links) && is_empty(relations->monitors));
}

static int
end_plainly(TaskState *task, PyObject *result)
{
    task->over = task->unusual = 1;
    Py_SETREF(task->result, Py_NewRef(result));
    Py_SETREF(task->aliases, Py_NewRef(Py_None));
    Py_SETREF(task->coroutine, Py_NewRef(Py_None));
    if (table_strike((ProcessTable *)task->home, task) < 0) {
        return -1;
    }
    return task->relations == Py_None ? 0 : tell_watchers(task);
}

/* Hand a step's outcome on. Steals `result`. */
static int
settle(RunQueue *self, TaskState *task, PySendResult sent, PyObject *result)
{
    int settled = 0;
    if (sent == PYGEN_NEXT) {
        if (result == park && !task->unusual) {
            task->parked = 1;
        }
        else {
            settled = done(PyObject_CallMethodObjArgs((PyObject *)self, str_yielded, task, result, NULL));
        }
    }
    else if (sent == PYGEN_RETURN && ends_plainly(task)) {
        settled = end_plainly(task, result);
    }
    else if (sent == PYGEN_RETURN) {
        settled = done(PyObject_CallMethodObjArgs((PyObject *)task, str_ended, result, Py_None, NULL));
    }
    else {
        result = take_exception();
        settled = done(PyObject_CallMethodObjArgs((PyObject *)self, str_raised, task, result, NULL));
    }
    Py_XDECREF(result);
    return settled;
}

static int
run_one(RunQueue *self, TaskState *task)
{
    PyObject *result = NULL;
    self->steps++;
    if (set_current(self, (PyObject *)task) < 0) {
        return -1;
    }
    if (task->over || task->coroutine == NULL || task->coroutine == Py_None) {
        return done(PyObject_CallMethodNoArgs((PyObject *)task, str_close));
    }
    PySendResult sent = step(task, &result);
    return settle(self, task, sent, result);
}

static int
run_ready(RunQueue *self, long steps)
{
    int failed = 0;
    while (!failed && steps-- > 0 && self->ready.len) {
        Py_XSETREF(self->current, ring_pop(&self->ready));
        failed = run_one(self, (TaskState *)self->current);
    }
    return failed;
}

/* What was current before is so again, of this queue and of asyncio. Steals both, and leaves an exception as it is. */
static int
restore_current(RunQueue *self, PyObject *task, PyObject *of_asyncio)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_XSETREF(self->current, task);
    int failed = set_current(self, of_asyncio);
    Py_DECREF(of_asyncio);
    if (type != NULL) {
        PyErr_Restore(type, value, traceback);
    }
    return failed;
}

static PyObject *
queue_run(RunQueue *self, PyObject *steps)
{
    long left = PyLong_AsLong(steps);
    if (left == -1 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *of_asyncio = get_current(self);
    if (of_asyncio == NULL) {
        return NULL;
    }
    RunQueue *outer = running;
    PyObject *interrupted = self->current; /* its step has called this */
    self->current = NULL;
    running = self;
    int failed = run_ready(self, left);
    running = outer;
    if (restore_current(self, interrupted, of_asyncio) < 0 || failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
queue_push(RunQueue *self, PyObject *task)
{
    if (!PyObject_TypeCheck(task, &TaskStateType)) {
        PyErr_Format(PyExc_TypeError, "only tasks can be run, not %R", task);
        return NULL;
    }
    if (ring_push(&self->ready, task) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
queue_get_current(RunQueue *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->current == NULL ? Py_None : self->current);
}

static PyMethodDef queue_methods[] = {
    {"push", (PyCFunction)queue_push, METH_O, NULL},
    {"run", (PyCFunction)queue_run, METH_O, NULL},
    {NULL},
};

static PyMemberDef queue_members[] = {
    {"loop", T_OBJECT, offsetof(RunQueue, loop), READONLY, NULL},
    {"ready", T_PYSSIZET, offsetof(RunQueue, ready.len), READONLY, "How many tasks are to be stepped."},
    {"steps", T_ULONGLONG, offsetof(RunQueue, steps), READONLY, "How many steps have begun."},
    {NULL},
};

static PyGetSetDef queue_getset[] = {
    {"current", (getter)queue_get_current, NULL, "The task that runs, or None."},
    {NULL},
};

PyTypeObject RunQueueType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist.scheduler.RunQueue",
    .tp_doc = "The tasks that are ready: see the class in scheduler.py.",
    .tp_basicsize = sizeof(RunQueue),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)queue_init,
    .tp_dealloc = (destructor)queue_dealloc,
    .tp_traverse = (traverseproc)queue_traverse,
    .tp_clear = (inquiry)queue_clear,
    .tp_methods = queue_methods,
    .tp_members = queue_members,
    .tp_getset = queue_getset,
};

int
runqueue_ready(void)
{
    str_take_thrown = PyUnicode_InternFromString("take_thrown");
    str_throw = PyUnicode_InternFromString("throw");
    str_close = PyUnicode_InternFromString("close");
    str_ended = PyUnicode_InternFromString("ended");
    str_yielded = PyUnicode_InternFromString("yielded");
    str_raised = PyUnicode_InternFromString("raised");
    return PyErr_Occurred() == NULL && PyType_Ready(&RunQueueType) == 0 ? 0 : -1;
}
