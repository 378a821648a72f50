from django.urls import path

from actioncenter.actions.views import bulk, decide, detail, lists

app_name = "actions"
urlpatterns = [
    path("action-center/pending", lists.pending, name="pending"),
    path("action-center/history", lists.history, name="history"),
    path("action-center/actions/<int:number>", detail.detail, name="detail"),
    path("action-center/actions/<int:number>/<slug:verb>", decide.decide, name="decide"),
    path("action-center/bulk", bulk.bulk, name="bulk"),
]
