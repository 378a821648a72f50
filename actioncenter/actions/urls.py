from django.urls import path

from actioncenter.actions.views.bulk import bulk
from actioncenter.actions.views.decide import decide
from actioncenter.actions.views.detail import detail
from actioncenter.actions.views.lists import history, pending

app_name = "actions"
urlpatterns = [
    path("action-center/pending", pending, name="pending"),
    path("action-center/history", history, name="history"),
    path("action-center/actions/<int:number>", detail, name="detail"),
    path("action-center/actions/<int:number>/<slug:verb>", decide, name="decide"),
    path("action-center/bulk", bulk, name="bulk"),
]
