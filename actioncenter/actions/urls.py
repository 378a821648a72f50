from django.urls import path

from actioncenter.actions.views import handover, reports, reviews, saved
from actioncenter.actions.views.act_on_mail import act_on_mail
from actioncenter.actions.views.artefacts import artefact_file
from actioncenter.actions.views.assigning import assign, comment, defer, give_back, hand_over, take
from actioncenter.actions.views.bulk import bulk
from actioncenter.actions.views.columns import arrange
from actioncenter.actions.views.decide import decide
from actioncenter.actions.views.detail import detail
from actioncenter.actions.views.edit import edit
from actioncenter.actions.views.explorer import explorer, mail_search
from actioncenter.actions.views.files import as_file
from actioncenter.actions.views.lists import history, pending
from actioncenter.actions.views.looking import look_again
from actioncenter.actions.views.mail_message import mail_message
from actioncenter.actions.views.targets import targets, targets_file

app_name = "actions"
urlpatterns = [
    path("action-center/pending", pending, name="pending"),
    path("action-center/history", history, name="history"),
    path("action-center/<slug:tab>/export.<slug:form>", as_file, name="export"),
    path("action-center/<slug:tab>/columns", arrange, name="columns"),
    path("action-center/actions/<int:number>", detail, name="detail"),
    path("action-center/actions/<int:number>/targets", targets, name="targets"),
    path("action-center/actions/<int:number>/targets.<slug:form>", targets_file, name="targets_file"),
    path("action-center/actions/<int:number>/assign", assign, name="assign"),
    path("action-center/actions/<int:number>/defer", defer, name="defer"),
    path("action-center/actions/<int:number>/hand-over", hand_over, name="hand_over"),
    path("action-center/actions/<int:number>/take", take, name="take"),
    path("action-center/actions/<int:number>/give-back", give_back, name="give_back"),
    path("action-center/actions/<int:number>/comment", comment, name="comment"),
    path("action-center/actions/<int:number>/edit", edit, name="edit"),
    path("action-center/actions/<int:number>/files/<uuid:public_id>", artefact_file, name="artefact_file"),
    path("action-center/actions/<int:number>/look-again", look_again, name="look_again"),
    path("action-center/actions/<int:number>/<slug:verb>", decide, name="decide"),
    path("action-center/bulk", bulk, name="bulk"),
    path("action-center/handover", handover.handovers, name="handovers"),
    path("action-center/handover/offer", handover.offer, name="offer_handover"),
    path("action-center/handover/<int:pk>", handover.handover, name="handover"),
    path("action-center/handover/<int:pk>/accept", handover.accept, name="accept_handover"),
    path("action-center/handover/<int:pk>/cancel", handover.cancel, name="cancel_handover"),
    path("action-center/views", saved.saved_views, name="saved_views"),
    path("action-center/views/save", saved.save, name="save_view"),
    path("action-center/views/<int:pk>/rename", saved.rename, name="rename_view"),
    path("action-center/views/<int:pk>/remove", saved.remove, name="remove_view"),
    path("reports/", reports.reports, name="reports"),
    path("reports/figures.csv", reports.reports_file, name="reports_file"),
    path("email/explorer", explorer, name="explorer"),
    path("email/explorer/<int:pk>", mail_search, name="mail_search"),
    path("email/explorer/<int:pk>/act", act_on_mail, name="act_on_mail"),
    path("email/explorer/<int:pk>/messages/<int:hit>", mail_message, name="mail_message"),
    path("action-center/reviews", reviews.reviews, name="reviews"),
    path("action-center/reviews/<int:pk>", reviews.judge, name="judge"),
]
